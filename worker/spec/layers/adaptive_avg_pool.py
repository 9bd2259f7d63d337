"""Adaptive average pooling: means of windows, so many that the result has a given size.

    y_i = mean of x from ⌊i·L/size⌋ to ⌈(i + 1)·L/size⌉

Reference: He, Zhang, Ren and Sun, 2014, "Spatial pyramid pooling in deep convolutional networks for visual
recognition"; ``torch.nn.AdaptiveAvgPool2d``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class AdaptiveAvgPoolLayer(Layer):
    """Means of windows to a given size."""

    equation: ClassVar[str] = "y_i = mean(x from ⌊i·L/size⌋ to ⌈(i + 1)·L/size⌉)"
    reference: ClassVar[str] = "He, Zhang, Ren and Sun 2014, Spatial pyramid pooling in deep convolutional networks"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"size": 2}, (3, 6, 4)),
        ({"size": 3}, (2, 7, 5)),
        ({"size": 4}, (2, 9)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["adaptive_avg_pool"] = "adaptive_avg_pool"
    size: int = Field(ge=1, le=4096, examples=[2], description="Length of the result's sides.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return channels and ``size`` in each direction."""
        if len(shape) not in (2, 3):
            message = (
                f"'adaptive_avg_pool' takes images or sequences of channels, and rows of shape {sizes(shape)} arrive."
            )
            raise DoesNotFit(message)
        return (shape[0], *[self.size] * (len(shape) - 1))

    def flops(self, shape: Shape) -> int:
        """Return one for each number."""
        return math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the mean of each window."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        pool = F.adaptive_avg_pool2d if x.dim() == 4 else F.adaptive_avg_pool1d
        return pool(x, self.size)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the mean of each window: products with matrices of averages."""
        x = graph.node("MatMul", x, graph.number(self._averages(shape[-1]).T))
        return x if len(shape) == 2 else graph.node("MatMul", graph.number(self._averages(shape[1])), x)

    def _averages(self, length: int) -> np.ndarray[Any, Any]:
        """Return the matrix (size, length) that averages the windows of a direction."""
        import numpy as np

        window = np.arange(self.size)[:, None]
        place = np.arange(length)
        inside = (place >= window * length // self.size) & (place < -(-(window + 1) * length // self.size))
        averages: np.ndarray[Any, Any] = inside / inside.sum(1, keepdims=True)
        return averages

    def module(self, shape: Shape) -> str:
        """Return ``nn.AdaptiveAvgPool1d`` or ``nn.AdaptiveAvgPool2d``."""
        return f"nn.AdaptiveAvgPool{len(shape) - 1}d({self.size})"
