"""Flatten: all numbers of a row, one after the other, channels first.

    y = vec(x)

Reference: ``torch.nn.Flatten``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from worker.spec.families.layer import Layer, LayerState, Names, Shape

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class FlattenLayer(Layer):
    """Rows become vectors."""

    equation: ClassVar[str] = "y = vec(x)"
    reference: ClassVar[str] = "torch.nn.Flatten"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({}, (3, 4, 5)), ({}, (6,)))

    kind: Literal["flatten"] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the number of numbers."""
        return (math.prod(shape),)

    def activations(self, shape: Shape) -> int:
        """Return zero: vectors are another view of the rows."""
        return 0

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return vectors."""
        return x.flatten(1)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return vectors."""
        return x if len(shape) == 1 else graph.node("Flatten", x, axis=1)

    def module(self, shape: Shape) -> str:
        """Return ``nn.Flatten``."""
        return "nn.Flatten()"
