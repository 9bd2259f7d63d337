"""Average pooling: the mean of each window of an image or a sequence of channels.

    y = mean over the window at each place

Reference: LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document recognition";
``torch.nn.AvgPool2d``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class AvgPoolLayer(Layer):
    """The mean of each window."""

    equation: ClassVar[str] = "y = mean over each window"
    reference: ClassVar[str] = "LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to documents"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (3, 6, 5)),
        ({"size": 3, "stride": 2}, (2, 9, 7)),
        ({"size": 2}, (4, 9)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["avg_pool"] = "avg_pool"
    size: int = Field(default=2, ge=1, le=4096, description="Length of the window's sides.")
    stride: int | None = Field(default=None, ge=1, le=4096, description="From one window to the next; null is size.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the number of windows in each direction."""
        if len(shape) not in (2, 3):
            message = f"'avg_pool' takes images or sequences of channels, and rows of shape {sizes(shape)} arrive."
            raise DoesNotFit(message)
        if min(shape[1:]) < self.size:
            message = f"Rows of {sizes(shape)} arrive, in which no window of {self.size} fits; leave a pooling out."
            raise DoesNotFit(message, "size")
        return (shape[0], *((length - self.size) // self._stride + 1 for length in shape[1:]))

    @property
    def _stride(self) -> int:
        return self.stride or self.size

    def flops(self, shape: Shape) -> int:
        """Return one for each number of each window."""
        output = self.output_shape(shape)
        return int(math.prod(output) * self.size ** (len(output) - 1))

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the mean of each window."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        pool = F.avg_pool2d if x.dim() == 4 else F.avg_pool1d
        return pool(x, self.size, self._stride)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the mean of each window."""
        directions = len(shape) - 1
        kernel, strides = [self.size] * directions, [self._stride] * directions
        return graph.node("AveragePool", x, kernel_shape=kernel, strides=strides)

    def module(self, shape: Shape) -> str:
        """Return ``nn.AvgPool1d`` or ``nn.AvgPool2d``."""
        return f"nn.AvgPool{len(shape) - 1}d({self.size}, {self._stride})"
