"""Dense layer: every output is a weighted sum of all inputs.

    y = W·x + b

Rows of shape (L, E) are L vectors, each of which the layer maps.

Reference: Rosenblatt, 1958, "The perceptron: a probabilistic model for information storage and organization in the
brain"; ``torch.nn.Linear``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value

Width = Annotated[int, Field(ge=1, le=1_000_000_000)]


class DenseLayer(Layer):
    """A matrix and a bias."""

    equation: ClassVar[str] = "y = W·x + b"
    reference: ClassVar[str] = "Rosenblatt 1958, The perceptron"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({"width": 5}, (7,)), ({"width": 3}, (4, 6)))
    fresh: ClassVar[bool] = True

    kind: Literal["dense"] = "dense"
    width: Width = Field(examples=[128], description="Number of outputs.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape with ``width`` as its last size."""
        if len(shape) > 2:
            message = (
                f"A dense layer takes rows of numbers, and images of {sizes(shape)} arrive: put 'flatten' or "
                "'global_avg_pool' before it."
            )
            raise DoesNotFit(message)
        return (*shape[:-1], self.width)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return a weight (out, in) and a bias (out,)."""
        return {"weight": (self.width, shape[-1]), "bias": (self.width,)}

    def flops(self, shape: Shape) -> int:
        """Return two for each weight and vector."""
        return super().flops(shape) * math.prod(shape[:-1])

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return x·Wᵀ + b."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        return F.linear(x, state["weight"], state["bias"])

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return x·Wᵀ + b."""
        if len(shape) == 1:
            return graph.affine(x, names["weight"], names["bias"])
        turned = graph.node("Transpose", names["weight"], perm=[1, 0])
        return graph.node("Add", graph.node("MatMul", x, turned), names["bias"])

    def module(self, shape: Shape) -> str:
        """Return ``nn.Linear``."""
        return f"nn.Linear({shape[-1]}, {self.width})"
