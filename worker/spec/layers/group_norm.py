"""Group normalization: the channels of a row are normalized in groups.

    y = γ·(x − mean(group)) / √(var(group) + ε) + β

One group is layer normalization of an image; as many groups as channels is instance normalization.

Reference: Wu and He, 2018, "Group normalization"; ``torch.nn.GroupNorm``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, LayerState, Names, Shape, divisors
from worker.spec.families.normalization import NormalizationLayer

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class GroupNormLayer(NormalizationLayer):
    """Normalize groups of channels of each row."""

    equation: ClassVar[str] = "y = γ·(x − μ_group) / √(σ²_group + ε) + β"
    reference: ClassVar[str] = "Wu and He 2018, Group normalization"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"groups": 2}, (4, 3, 5)),
        ({"groups": 1}, (3, 4, 4)),
        ({"groups": 3, "affine": False}, (6,)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["group_norm"] = "group_norm"
    groups: int = Field(default=1, ge=1, le=65_536, description="Number of groups.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        if shape[0] % self.groups:
            message = f"{self.groups} groups do not divide {shape[0]} channels."
            raise DoesNotFit(message, "groups", allowed=divisors(shape[0]))
        return shape

    def flops(self, shape: Shape) -> int:
        """Return about eight for each number."""
        return 8 * math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return normalized rows."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        weight, bias = (state["weight"], state["bias"]) if self.affine else (None, None)
        return F.group_norm(x, self.groups, weight, bias, self.eps)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return normalized rows: each group is a channel of an instance, since the operator came in a later opset."""
        flat = graph.node("Reshape", x, graph.sizes([0, self.groups, -1]))
        ones, zeros = graph.numbers([1.0] * self.groups), graph.numbers([0.0] * self.groups)
        flat = graph.node("InstanceNormalization", flat, ones, zeros, epsilon=self.eps)
        normalized = graph.node("Reshape", flat, graph.node("Shape", x))
        if not self.affine:
            return normalized
        each = graph.sizes([-1, *[1] * (len(shape) - 1)])
        scaled = graph.node("Mul", normalized, graph.node("Reshape", names["weight"], each))
        return graph.node("Add", scaled, graph.node("Reshape", names["bias"], each))

    def module(self, shape: Shape) -> str:
        """Return ``nn.GroupNorm``."""
        return f"nn.GroupNorm({self.groups}, {shape[0]}, {self.module_options()})"
