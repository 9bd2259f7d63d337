"""Average pooling: the mean of each window of an image or a sequence of channels.

    y = mean over the window at each place

Reference: LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document recognition";
``torch.nn.AvgPool2d``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import LayerState, Names, Shape
from worker.spec.families.pooling import PoolingLayer

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class AvgPoolLayer(PoolingLayer):
    """The mean of each window."""

    equation: ClassVar[str] = "y = mean over each window"
    reference: ClassVar[str] = "LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to documents"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (3, 6, 5)),
        ({"size": 3, "stride": 2, "padding": 1}, (2, 9, 7)),
        ({"size": 2, "ceil": True}, (4, 9)),
        ({"size": 3, "stride": 3, "padding": 1, "ceil": True}, (2, 8, 5)),
        ({"size": 3, "stride": 3, "padding": 1, "ceil": True, "count_padding": False}, (2, 8, 5)),
    )

    kind: Literal["avg_pool"] = "avg_pool"
    count_padding: bool = Field(default=True, description="Whether added places count, as zeros.")

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the mean of each window."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        pool = F.avg_pool2d if x.dim() == 4 else F.avg_pool1d
        return pool(x, self.size, self._stride, self.padding, self.ceil, self.count_padding)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the mean of each window; padding that counts is added before."""
        directions, begin, ends = len(shape) - 1, self.padding, self._ends(shape)
        if begin and self.count_padding:
            x = graph.node("Pad", x, graph.sizes([0, 0, *[begin] * directions] * 2))
            begin, ends = 0, [max(0, end - begin) for end in ends]
        more: dict[str, Any] = {"pads": [begin] * directions + ends} if begin or any(ends) else {}
        kernel, strides = [self.size] * directions, [self._stride] * directions
        return graph.node("AveragePool", x, kernel_shape=kernel, strides=strides, **more)

    def module(self, shape: Shape) -> str:
        """Return ``nn.AvgPool1d`` or ``nn.AvgPool2d``."""
        more = "" if self.count_padding else ", count_include_pad=False"
        return f"nn.AvgPool{len(shape) - 1}d({self._arguments()}{more})"
