"""Root-mean-square normalization: each row, or each vector of a sequence, is divided by its size, then scaled.

    y = γ·x / √(mean(x²) + ε)

Reference: Zhang and Sennrich, 2019, "Root mean square layer normalization"; ``torch.nn.RMSNorm``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes
from worker.spec.families.model import Initialization
from worker.spec.initialization import Init
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class RMSNormLayer(Layer):
    """Divide each vector by its size."""

    equation: ClassVar[str] = "y = γ·x / √(mean(x²) + ε)"
    reference: ClassVar[str] = "Zhang and Sennrich 2019, Root mean square layer normalization"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (6,)),
        ({"eps": 0.01, "affine": False}, (4, 5)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["rms_norm"] = "rms_norm"
    eps: PerRun[float] = Field(default=1e-6, gt=0, le=1, description="Added to the mean of the squares.")
    affine: bool = Field(default=True, description="Whether a scale is learned.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        if len(shape) > 2:
            message = f"'rms_norm' takes numbers or sequences of vectors, and images of {sizes(shape)} arrive."
            raise DoesNotFit(message)
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return a scale of each feature."""
        return {"weight": shape[-1:]} if self.affine else {}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return ones: no scale."""
        return Initialization("constant", 1.0)

    def flops(self, shape: Shape) -> int:
        """Return about four for each number."""
        return 4 * math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return normalized rows."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        return F.rms_norm(x, (x.shape[-1],), state["weight"] if self.affine else None, self.eps)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return normalized rows."""
        square = graph.node("ReduceMean", graph.node("Mul", x, x), axes=[-1], keepdims=1)
        size = graph.node("Sqrt", graph.node("Add", square, graph.number(self.eps)))
        normalized = graph.node("Div", x, size)
        return graph.node("Mul", normalized, names["weight"]) if self.affine else normalized

    def module(self, shape: Shape) -> str:
        """Return ``nn.RMSNorm``."""
        more = "" if self.affine else ", elementwise_affine=False"
        return f"nn.RMSNorm({shape[-1]}, eps={self.eps}{more})"
