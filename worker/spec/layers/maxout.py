"""Maxout: the largest of each group of channels.

    y_i = max of x over group i

After a layer with ``groups`` times as many channels, it is a unit that learns its own convex nonlinearity.

Reference: Goodfellow, Warde-Farley, Mirza, Courville and Bengio, 2013, "Maxout networks".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, divisors, sizes

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class MaxoutLayer(Layer):
    """The largest of each group of channels."""

    equation: ClassVar[str] = "y_i = max(x over group i)"
    reference: ClassVar[str] = "Goodfellow et al. 2013, Maxout networks"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (6,)),
        ({"size": 3}, (6, 2, 3)),
        ({"size": 2}, (4, 5)),
    )

    kind: Literal["maxout"] = "maxout"
    size: int = Field(default=2, ge=2, le=4096, description="Number of neighboring channels in a group.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return as many channels as there are groups."""
        if shape[0] % self.size:
            message = f"Rows of {sizes(shape)} arrive, whose channels are no multiple of size {self.size}; use another."
            raise DoesNotFit(message, "size", allowed=divisors(shape[0])[1:])
        return (shape[0] // self.size, *shape[1:])

    def flops(self, shape: Shape) -> int:
        """Return one for each number."""
        return math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the largest of each group."""
        return x.reshape(len(x), -1, self.size, *x.shape[2:]).amax(2)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the largest of each group."""
        grouped = graph.node("Reshape", x, graph.sizes([-1, shape[0] // self.size, self.size, *shape[1:]]))
        return graph.node("ReduceMax", grouped, axes=[2], keepdims=0)

    def module(self, shape: Shape) -> str:
        """Return ``Maxout``."""
        return f"Maxout({self.size})"
