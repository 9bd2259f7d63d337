"""Where the parameters of K runs lie in memory: one buffer, cut into blocks (K, width) with a row for each run.

A product reads and writes the weights of K runs in place if they are contiguous: otherwise oneDNN copies them, and MKL
multiplies run by run. So a matrix is a block of its own; all vectors share one. An optimizer updates a block at a time;
where the step of a parameter depends on all others, as in L-BFGS, they are one block, and products copy.
Every parameter of every run begins on a 256-byte border, so bits depend neither on K nor on a run's position.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

BORDER = 64
"""Parameters begin at multiples of so many floats."""


class Block:
    """Parameters side by side in each row of a matrix (K, width), padded to the border."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self.offsets: dict[str, int] = {}
        self.width = 0
        for name, shape in self.shapes.items():
            self.offsets[name] = self.width
            self.width += -(-math.prod(shape) // BORDER) * BORDER

    def views(self, rows: Tensor) -> dict[str, Tensor]:
        """Return each parameter's view, (K, *shape), into ``rows`` (K, width)."""
        return {
            name: rows[:, self.offsets[name] : self.offsets[name] + math.prod(shape)].view(-1, *shape)
            for name, shape in self.shapes.items()
        }

    def matrices(self, rows: Tensor) -> list[Tensor]:
        """Return the weights among ``rows`` (K, width), each as (K, out, in); kernels of a convolution are rows."""
        return _matrices(self.views(rows))


class Layout:
    """The blocks of ``runs`` runs whose parameters have ``shapes``; a single one if ``joint``.

    A matrix that needs padding would not be contiguous, so it shares the block of the vectors. One run has one block:
    any part of a row is contiguous.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], runs: int, *, joint: bool = False) -> None:
        self.shapes = dict(shapes)
        self.runs = runs
        divided = runs > 1 and not joint
        alone = [n for n, shape in self.shapes.items() if divided and len(shape) > 1 and not math.prod(shape) % BORDER]
        shared = {name: shape for name, shape in self.shapes.items() if name not in alone}
        self.blocks = [Block({name: self.shapes[name]}) for name in alone] + ([Block(shared)] if shared else [])

    def zeros(self, device: torch.device) -> Tensor:
        """Return a buffer of zeros, (K·P,)."""
        return torch.zeros(self.runs * sum(block.width for block in self.blocks), device=device)

    def split(self, buffer: Tensor) -> Sequence[Tensor]:
        """Return the blocks of ``buffer``, views (K, width)."""
        parts = torch.split(buffer, [self.runs * block.width for block in self.blocks])
        return [part.view(self.runs, -1) for part in parts]

    def views(self, buffer: Tensor) -> dict[str, Tensor]:
        """Return each parameter's view, (K, *shape), into ``buffer``."""
        views: dict[str, Tensor] = {}
        for block, rows in zip(self.blocks, self.split(buffer), strict=True):
            views |= block.views(rows)
        return {name: views[name] for name in self.shapes}

    def matrices(self, buffer: Tensor) -> list[Tensor]:
        """Return the weights in ``buffer``, each as (K, out, in); kernels of a convolution are rows."""
        return _matrices(self.views(buffer))

    def filled(self, values: Mapping[str, Tensor], device: torch.device) -> Tensor:
        """Return a buffer with ``values``, each (K, *shape); the padding is zero."""
        buffer = self.zeros(device)
        for name, view in self.views(buffer).items():
            view.copy_(values[name])
        return buffer


def _matrices(views: Mapping[str, Tensor]) -> list[Tensor]:
    return [view.flatten(2) for view in views.values() if view.dim() > 2]
