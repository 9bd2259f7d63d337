"""Global max pooling: the largest of each channel.

    y_c = max over all places of x_c

Images (C, H, W) and sequences of channels (C, L) become C numbers.

Reference: Oquab, Bottou, Laptev and Sivic, 2015, "Is object localization for free?"; ``torch.nn.AdaptiveMaxPool2d``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class GlobalMaxPoolLayer(Layer):
    """The largest of each channel."""

    equation: ClassVar[str] = "y_c = max(x_c)"
    reference: ClassVar[str] = "Oquab, Bottou, Laptev and Sivic 2015, Is object localization for free?"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({}, (3, 4, 5)), ({}, (2, 7)))
    fresh: ClassVar[bool] = True

    kind: Literal["global_max_pool"] = "global_max_pool"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the number of channels."""
        if len(shape) not in (2, 3):
            message = (
                f"'global_max_pool' takes images or sequences of channels, and rows of shape {sizes(shape)} arrive."
            )
            raise DoesNotFit(message)
        return shape[:1]

    def flops(self, shape: Shape) -> int:
        """Return one for each number."""
        return math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the largest of each channel."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        pool = F.adaptive_max_pool2d if x.dim() == 4 else F.adaptive_max_pool1d
        return pool(x, 1).flatten(1)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the largest of each channel."""
        return graph.node("ReduceMax", x, axes=list(range(2, len(shape) + 1)), keepdims=0)

    def module(self, shape: Shape) -> str:
        """Return a pooling to one place, flattened."""
        return f"nn.Sequential(nn.AdaptiveMaxPool{len(shape) - 1}d(1), nn.Flatten())"
