"""Max pooling: the largest of each window of an image or a sequence of channels.

    y = max over the window at each place

Reference: Ranzato, Huang, Boureau and LeCun, 2007, "Unsupervised learning of invariant feature hierarchies with
applications to object recognition"; ``torch.nn.MaxPool2d``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from worker.spec.families.layer import LayerState, Names, Shape
from worker.spec.families.pooling import PoolingLayer

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class MaxPoolLayer(PoolingLayer):
    """The largest of each window."""

    equation: ClassVar[str] = "y = max over each window"
    reference: ClassVar[str] = (
        "Ranzato, Huang, Boureau and LeCun 2007, Unsupervised learning of invariant feature hierarchies"
    )
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (3, 6, 5)),
        ({"size": 3, "stride": 2, "padding": 1}, (2, 9, 7)),
        ({"size": 2, "ceil": True}, (4, 9)),
        ({"size": 3, "stride": 3, "padding": 1, "ceil": True}, (2, 8, 5)),
    )

    kind: Literal["max_pool"] = "max_pool"

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the largest of each window."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        pool = F.max_pool2d if x.dim() == 4 else F.max_pool1d
        return pool(x, self.size, self._stride, self.padding, 1, self.ceil)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the largest of each window."""
        directions, ends = len(shape) - 1, self._ends(shape)
        more: dict[str, Any] = {"pads": [self.padding] * directions + ends} if self.padding or any(ends) else {}
        kernel, strides = [self.size] * directions, [self._stride] * directions
        return graph.node("MaxPool", x, kernel_shape=kernel, strides=strides, **more)

    def module(self, shape: Shape) -> str:
        """Return ``nn.MaxPool1d`` or ``nn.MaxPool2d``."""
        return f"nn.MaxPool{len(shape) - 1}d({self._arguments()})"
