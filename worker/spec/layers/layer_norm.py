"""Layer normalization: each row, or each vector of a sequence, has mean zero and variance one, then scale and shift.

    y = γ·(x − mean(x)) / √(var(x) + ε) + β

``group_norm`` with one group normalizes images with one scale for each channel instead of one for each pixel.

Reference: Ba, Kiros and Hinton, 2016, "Layer normalization"; ``torch.nn.LayerNorm``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, LayerState, Names, Shape, sizes
from worker.spec.families.normalization import NormalizationLayer

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class LayerNormLayer(NormalizationLayer):
    """Normalize each row or each of its vectors."""

    equation: ClassVar[str] = "y = γ·(x − μ) / √(σ² + ε) + β"
    reference: ClassVar[str] = "Ba, Kiros and Hinton 2016, Layer normalization"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (6,)),
        ({}, (4, 5)),
        ({"over": "all", "eps": 0.01}, (2, 3, 4)),
        ({"over": "all", "affine": False}, (3, 4)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["layer_norm"] = "layer_norm"
    over: Literal["last", "all"] = Field(
        default="last", description="last: each vector of a sequence by itself; all: the numbers of a row together."
    )

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        if len(shape) > 2 and self.over == "last":
            message = f"'layer_norm' takes images, such as the {sizes(shape)} that arrive, only over 'all'."
            raise DoesNotFit(message, "over", allowed=["all"])
        return shape

    def affine_shape(self, shape: Shape) -> Shape:
        """Return the shape of what is normalized together."""
        return shape if self.over == "all" else shape[-1:]

    def flops(self, shape: Shape) -> int:
        """Return about eight for each number."""
        return 8 * math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return normalized rows."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        weight, bias = (state["weight"], state["bias"]) if self.affine else (None, None)
        return F.layer_norm(x, self.affine_shape(tuple(x.shape[1:])), weight, bias, self.eps)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return normalized rows."""
        size = self.affine_shape(shape)
        weight = names["weight"] if self.affine else graph.number(_filled(size, 1))
        bias = names["bias"] if self.affine else graph.number(_filled(size, 0))
        return graph.node("LayerNormalization", x, weight, bias, axis=-len(size), epsilon=self.eps)

    def module(self, shape: Shape) -> str:
        """Return ``nn.LayerNorm``."""
        more = "" if self.affine else ", elementwise_affine=False"
        return f"nn.LayerNorm({self.affine_shape(shape)}, eps={self.eps}{more})"


def _filled(shape: Shape, value: float) -> Any:
    import numpy as np

    return np.full(shape, value)
