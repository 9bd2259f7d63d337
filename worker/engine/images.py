"""The image operations of a stack, in list order.

Those that only move pixels are tables of index maps and a choice for each row. At the head of the list they work on
the raw bytes: neighbouring tables are multiplied out into one (all rotations × both flips) while it stays small, what
is left is composed in the step, and one gather does them all. From the first operation on that computes pixels, images
are floats, (K, N, C, H, W); gray ones have one channel. Every channel of an image moves alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from worker.engine.rng import StackRng
from worker.engine.stack_data import StackData
from worker.spec.families.hooks import defines
from worker.spec.part import Stacked
from worker.spec.warps import apply

MAX_MAPS = 16_384
"""Maps in a table that is multiplied out; at 785 int64 each, 100 MB."""

Operation = tuple[Stacked[Any], StackRng]


class Images:
    """Makes the inputs of a batch from the raw rows."""

    def __init__(self, operations: Sequence[Operation], shape: tuple[int, ...], device: torch.device) -> None:
        leading = 0
        while leading < len(operations) and defines(operations[leading][0].implementation, "pixel_maps"):
            leading += 1
        self._pixel_maps = PixelMaps(operations[:leading], shape[-2:], device) if leading else None
        self._rest = operations[leading:]
        self._shape = shape if len(shape) == 3 else (1, *shape)

    def batch(self, data: StackData, rows: Tensor) -> Tensor:
        """Inputs (K, N, D) of the training rows ``rows`` (K, N)."""
        raw = data.raws(rows) if self._pixel_maps is None else data.gather_pixels(rows, self._pixel_maps.index())
        if self._rest:
            x = raw.to(torch.float32).view(*rows.shape, *self._shape)
            for part, draws in self._rest:
                x = apply(part, x, draws, data.spec.white)
            raw = x.flatten(2)
        return data.inputs_of(raw, rows)


class PixelMaps:
    """The pixel moves at the head of the list."""

    def __init__(self, operations: Sequence[Operation], size: tuple[int, ...], device: torch.device) -> None:
        self._tables: list[Tensor] = []
        self._groups: list[list[tuple[Operation, int]]] = []
        for operation in operations:
            part = operation[0]
            maps = part.pixel_maps(*size).to(device)
            if self._tables and len(self._tables[-1]) * len(maps) <= MAX_MAPS:
                self._tables[-1] = _product(self._tables[-1], maps)
                self._groups[-1].append((operation, len(maps)))
            else:
                self._tables.append(maps)
                self._groups.append([(operation, len(maps))])

    def index(self) -> Tensor:
        """Where each pixel of the current batch comes from: (K, N, H·W + 1), int64."""
        index: Tensor | None = None
        for table, group in zip(self._tables, self._groups, strict=True):
            row: Tensor | int = 0
            for (part, draws), count in group:
                row = row * count + part.choose_map(draws, count)
            assert isinstance(row, Tensor)
            chosen = table.index_select(0, row.view(-1)).view(*row.shape, -1)
            index = chosen if index is None else index.gather(-1, chosen)
        assert index is not None
        return index


def _product(first: Tensor, second: Tensor) -> Tensor:
    """The maps of doing each of ``first`` (A, P), then each of ``second`` (B, P): shape (A·B, P), B running fastest."""
    return first[:, second].view(-1, first.shape[1])
