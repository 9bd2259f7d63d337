"""Pooling over a sequence: one vector for all its places.

    mean     y = (1/L)·Σ_l x_l
    max      y_e = max over l of x_l,e
    first    y = x_1
    last     y = x_L

Reference: Lin, Chen and Yan, 2014, "Network in network", section 3.2 (the mean); ``torch.mean``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import Layer, LayerState, Names, Shape, check_sequence

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class SequencePoolLayer(Layer):
    """One vector for a sequence."""

    equation: ClassVar[str] = "y = (1/L)·Σ_l x_l"
    reference: ClassVar[str] = "Lin, Chen and Yan 2014, Network in network"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (5, 4)),
        ({"method": "max"}, (5, 4)),
        ({"method": "first"}, (5, 4)),
        ({"method": "last"}, (3, 2)),
    )

    kind: Literal["sequence_pool"] = "sequence_pool"
    method: Literal["mean", "max", "first", "last"] = Field(
        default="mean", description="Mean or largest number over all places, or the vector at the first or last place."
    )

    def output_shape(self, shape: Shape) -> Shape:
        """Return the size of a vector."""
        check_sequence(self.kind, shape)
        return (shape[1],)

    def flops(self, shape: Shape) -> int:
        """Return one for each number."""
        return math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return vectors (N, E)."""
        if self.method == "mean":
            return x.mean(1)
        if self.method == "max":
            return x.amax(1)
        return x[:, 0] if self.method == "first" else x[:, -1]

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return vectors."""
        if self.method in ("mean", "max"):
            operator = "ReduceMean" if self.method == "mean" else "ReduceMax"
            return graph.node(operator, x, axes=[1], keepdims=0)
        place = 0 if self.method == "first" else shape[0] - 1
        return graph.node("Squeeze", graph.node("Gather", x, graph.integers([place]), axis=1), graph.integers([1]))

    def module(self, shape: Shape) -> str:
        """Return ``SequencePool``."""
        return f'SequencePool("{self.method}")'
