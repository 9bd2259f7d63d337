"""Image operations that only move pixels, as tables of index maps: one gather does any number of them.

An operation is a table of maps and a choice for each row. Neighbouring operations are multiplied out into one table
(all rotations × both flips) while it stays small; what is left is composed in the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from worker.engine.streams import StackDraws
from worker.spec.part import Stacked

MOST_MAPS = 16_384
"""Maps in a table that is multiplied out; at 785 int64 each, 100 MB."""

Operation = tuple[Stacked[Any], StackDraws]


class Moves:
    """The pixel moves of a stack, in list order."""

    def __init__(self, operations: Sequence[Operation], shape: tuple[int, ...], device: torch.device) -> None:
        self._tables: list[Tensor] = []
        self._groups: list[list[tuple[Operation, int]]] = []
        for operation in operations:
            part = operation[0]
            maps = part.maths.moves(part, *shape).to(device)
            if self._tables and len(self._tables[-1]) * len(maps) <= MOST_MAPS:
                self._tables[-1] = _product(self._tables[-1], maps)
                self._groups[-1].append((operation, len(maps)))
            else:
                self._tables.append(maps)
                self._groups.append([(operation, len(maps))])

    def index(self) -> Tensor:
        """Where each pixel of the current batch comes from: (K, N, D + 1), int64."""
        index: Tensor | None = None
        for table, group in zip(self._tables, self._groups, strict=True):
            row: Tensor | int = 0
            for (part, draws), count in group:
                row = row * count + part.maths.choose(part, draws, count)
            assert isinstance(row, Tensor)
            chosen = table.index_select(0, row.view(-1)).view(*row.shape, -1)
            index = chosen if index is None else index.gather(-1, chosen)
        assert index is not None
        return index


def _product(first: Tensor, second: Tensor) -> Tensor:
    """The maps of doing each of ``first`` (A, P), then each of ``second`` (B, P): shape (A·B, P), B running fastest."""
    return first[:, second].view(-1, first.shape[1])
