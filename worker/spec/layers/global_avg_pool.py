"""Global average pooling: the mean of each channel, or of each feature over a sequence.

    y_c = mean over all places of x_c

Images (C, H, W) and sequences of channels (C, L) become C numbers.

Reference: Lin, Chen and Yan, 2014, "Network in network"; ``torch.nn.AdaptiveAvgPool2d``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class GlobalAvgPoolLayer(Layer):
    """The mean of each channel."""

    equation: ClassVar[str] = "y_c = mean(x_c)"
    reference: ClassVar[str] = "Lin, Chen and Yan 2014, Network in network"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({}, (3, 4, 5)), ({}, (2, 7)))
    fresh: ClassVar[bool] = True

    kind: Literal["global_avg_pool"] = "global_avg_pool"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the number of channels."""
        if len(shape) < 2:
            message = f"'global_avg_pool' takes images or sequences, and rows of shape {sizes(shape)} arrive."
            raise DoesNotFit(message)
        return shape[:1]

    def flops(self, shape: Shape) -> int:
        """Return one for each number."""
        return math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the mean of each channel."""
        return x.mean(tuple(range(2, x.dim())))

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the mean of each channel."""
        return graph.node("ReduceMean", x, axes=list(range(2, len(shape) + 1)), keepdims=0)

    def module(self, shape: Shape) -> str:
        """Return a pooling to one place, flattened."""
        return f"nn.Sequential(nn.AdaptiveAvgPool{len(shape) - 1}d(1), nn.Flatten())"
