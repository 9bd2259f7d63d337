"""Positional encoding: each place of a sequence has a vector that is added to the one there.

    learned      y_l = x_l + p_l
    sinusoidal   y_l,2i = x_l,2i + sin(l / 10000^(2i/E)),    y_l,2i+1 = x_l,2i+1 + cos(l / 10000^(2i/E))

Learned vectors begin normal with standard deviation 0.02.

Reference: Vaswani et al., 2017, "Attention is all you need", section 3.5; Dosovitskiy et al., 2021, "An image is worth
16x16 words" (learned).
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import Layer, LayerState, Names, Shape, check_sequence
from worker.spec.families.model import Initialization
from worker.spec.initialization import Init

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from worker.spec.graph import Graph, Value

WAVELENGTH = 10_000.0
LEARNED_STD = 0.02


class PositionalEncodingLayer(Layer):
    """Add a vector of its own to each place of a sequence."""

    equation: ClassVar[str] = "y_l = x_l + p_l"
    reference: ClassVar[str] = "Vaswani et al. 2017, Attention is all you need"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (5, 4)),
        ({"method": "sinusoidal"}, (6, 4)),
        ({"method": "sinusoidal"}, (3, 5)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["positional_encoding"] = "positional_encoding"
    method: Literal["learned", "sinusoidal"] = Field(
        default="learned", description="Whether vectors are trained or waves of fixed lengths."
    )

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        check_sequence(self.kind, shape)
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return a vector for each place, if they are learned."""
        return {"weight": shape} if self.method == "learned" else {}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return small numbers."""
        return Initialization("normal", LEARNED_STD)

    def flops(self, shape: Shape) -> int:
        """Return one for each number."""
        return math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the sum."""
        import torch

        if self.method == "learned":
            return x + state["weight"]
        return x + torch.from_numpy(_waves(x.shape[1], x.shape[2])).to(x)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the sum."""
        length, width = shape
        return graph.node(
            "Add", x, names["weight"] if self.method == "learned" else graph.number(_waves(length, width))
        )

    def module(self, shape: Shape) -> str:
        """Return ``PositionalEncoding``."""
        return f"PositionalEncoding({shape[0]}, {shape[1]}, learned={self.method == 'learned'})"


@functools.lru_cache(maxsize=16)
def _waves(length: int, width: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return sines at even and cosines at odd places of each vector, (length, width)."""
    import numpy as np

    angles = np.arange(length)[:, None] / WAVELENGTH ** (np.arange(width) // 2 * 2 / width)
    return np.asarray(np.where(np.arange(width) % 2, np.cos(angles), np.sin(angles)), np.float64)
