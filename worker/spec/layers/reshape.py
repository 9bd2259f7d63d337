"""Reshape: the same numbers in another shape, channels first.

    y = x in the given shape

Reference: ``torch.nn.Unflatten``; Keras' ``Reshape``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class ReshapeLayer(Layer):
    """Give rows another shape."""

    equation: ClassVar[str] = "y = x in another shape"
    reference: ClassVar[str] = "torch.nn.Unflatten"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"shape": [1, -1]}, (12,)),
        ({"shape": [3, 2, 4]}, (6, 4)),
        ({"shape": [-1]}, (2, 3, 4)),
    )

    kind: Literal["reshape"] = "reshape"
    shape: tuple[Annotated[int, Field(ge=-1, le=1_000_000_000)], ...] = Field(
        min_length=1,
        max_length=3,
        examples=[[1, -1]],
        description="Sizes of a row: numbers, channels × length, or channels × height × width; one of them may be −1.",
    )

    def output_shape(self, shape: Shape) -> Shape:
        """Return the given shape with −1 replaced by the remaining size."""
        numbers, fixed = math.prod(shape), math.prod(size for size in self.shape if size > 0)
        unknown = self.shape.count(-1)
        if 0 in self.shape or unknown > 1 or numbers % fixed or (not unknown and numbers != fixed):
            message = (
                f"Rows of {sizes(shape)} arrive, {numbers} numbers, which do not fit into {sizes(self.shape)}; use "
                "sizes whose product is that number, one of which may be -1."
            )
            raise DoesNotFit(message, "shape")
        return tuple(numbers // fixed if size < 0 else size for size in self.shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return rows in the given shape."""
        return x.reshape(len(x), *self.output_shape(tuple(x.shape[1:])))

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return rows in the given shape."""
        return graph.node("Reshape", x, graph.sizes([-1, *self.output_shape(shape)]))

    def module(self, shape: Shape) -> str:
        """Return ``nn.Unflatten`` of flat rows."""
        flat = "nn.Flatten()"
        output = self.output_shape(shape)
        return flat if len(output) == 1 else f"nn.Sequential({flat}, nn.Unflatten(1, {output}))"
