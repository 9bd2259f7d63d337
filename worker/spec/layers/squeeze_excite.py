"""Squeeze and excitation: channels are weighted by a small network that sees their means.

    y_c = x_c · σ(W₂·relu(W₁·mean(x) + b₁) + b₂)_c

Reference: Hu, Shen and Sun, 2018, "Squeeze-and-excitation networks"; torchvision's ``SqueezeExcitation``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class SqueezeExciteLayer(Layer):
    """Weight channels by their means."""

    equation: ClassVar[str] = "y_c = x_c · σ(W₂·relu(W₁·mean(x) + b₁) + b₂)_c"
    reference: ClassVar[str] = "Hu, Shen and Sun 2018, Squeeze-and-excitation networks"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"reduction": 2}, (6, 3, 4)),
        ({"reduction": 16}, (4, 5)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["squeeze_excite"] = "squeeze_excite"
    reduction: int = Field(default=16, ge=1, le=65_536, description="Channels for each hidden unit.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        if len(shape) not in (2, 3):
            message = (
                f"'squeeze_excite' takes images or sequences of channels, and rows of shape {sizes(shape)} arrive."
            )
            raise DoesNotFit(message)
        return shape

    def _hidden(self, channels: int) -> int:
        return max(1, channels // self.reduction)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return the weights and biases of two dense layers."""
        channels, hidden = shape[0], self._hidden(shape[0])
        return {
            "fc1.weight": (hidden, channels),
            "fc1.bias": (hidden,),
            "fc2.weight": (channels, hidden),
            "fc2.bias": (channels,),
        }

    def flops(self, shape: Shape) -> int:
        """Return two for each weight and each number."""
        return super().flops(shape) + 2 * math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return weighted channels."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        places = tuple(range(2, x.dim()))
        hidden = F.linear(x.mean(places), state["fc1.weight"], state["fc1.bias"]).relu_()
        weights = F.linear(hidden, state["fc2.weight"], state["fc2.bias"]).sigmoid_()
        return x * weights.view(*weights.shape, *[1] * len(places))

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return weighted channels."""
        places = list(range(2, len(shape) + 1))
        mean = graph.node("ReduceMean", x, axes=places, keepdims=0)
        hidden = graph.node("Relu", graph.node("Gemm", mean, names["fc1.weight"], names["fc1.bias"], transB=1))
        z = graph.node("Gemm", hidden, names["fc2.weight"], names["fc2.bias"], transB=1)
        weights = graph.node("Unsqueeze", graph.node("Sigmoid", z), graph.sizes(places))
        return graph.node("Mul", x, weights)

    def module(self, shape: Shape) -> str:
        """Return ``SqueezeExcite``."""
        return f"SqueezeExcite({shape[0]}, {self._hidden(shape[0])})"
