"""Patches: an image becomes a sequence of its squares, row by row, each a vector with its channels first.

    y_l = vec(patch l of x)

A dense layer after it projects the patches, as in the Vision Transformer.

Reference: Dosovitskiy et al., 2021, "An image is worth 16x16 words: transformers for image recognition at scale";
``torch.nn.Unfold``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, divisors, sizes

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class PatchifyLayer(Layer):
    """Cut an image into a sequence of squares."""

    equation: ClassVar[str] = "y_l = vec(patch l of x)"
    reference: ClassVar[str] = "Dosovitskiy et al. 2021, An image is worth 16x16 words"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"size": 2}, (3, 4, 6)),
        ({"size": 4}, (1, 8, 8)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["patchify"] = "patchify"
    size: int = Field(default=4, ge=1, le=4096, description="Height and width of a patch, in pixels.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the number of patches and the length of their vectors."""
        if len(shape) != 3:
            message = f"'patchify' takes images (channels × height × width), and rows of shape {sizes(shape)} arrive."
            raise DoesNotFit(message)
        channels, height, width = shape
        if height % self.size or width % self.size:
            common = math.gcd(height, width)
            message = f"Images of {sizes(shape)} arrive, which patches of {self.size} × {self.size} do not divide."
            raise DoesNotFit(message, "size", allowed=divisors(common))
        return (height // self.size * (width // self.size), channels * self.size**2)

    def flops(self, shape: Shape) -> int:
        """Return none."""
        return 0

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the patches (N, L, E)."""
        channels, height, width = x.shape[1:]
        cut = x.reshape(-1, channels, height // self.size, self.size, width // self.size, self.size)
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the patches."""
        channels, height, width = shape
        cut = graph.sizes([-1, channels, height // self.size, self.size, width // self.size, self.size])
        turned = graph.node("Transpose", graph.node("Reshape", x, cut), perm=[0, 2, 4, 1, 3, 5])
        return graph.node("Reshape", turned, graph.sizes([-1, *self.output_shape(shape)]))

    def module(self, shape: Shape) -> str:
        """Return ``Patchify``."""
        return f"Patchify({self.size})"
