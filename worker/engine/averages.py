"""The averaged weights and buffers of the runs of a stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor

from worker.engine.layout import Layout
from worker.spec.averaging import Averaging
from worker.spec.part import Stacked

if TYPE_CHECKING:
    from worker.engine.stack import Stack


class Averages:
    """An average of the parameters and buffers of ``stack``, from zero on, or from ``values``, (K, …) by name."""

    def __init__(self, stack: Stack, part: Stacked[Averaging], values: Mapping[str, Tensor] | None) -> None:
        self._part = part
        pairs = (stack.layout, stack.weights), (stack.buffer_layout, stack.buffers)
        self._averaged: list[tuple[Layout, Tensor, Tensor]] = [
            (layout, layout.zeros(stack.device) if values is None else layout.filled(values, stack.device), current)
            for layout, current in pairs
        ]
        """Layout, average and current values."""

    @property
    def views(self) -> dict[str, Tensor]:
        """The average of each parameter and buffer by name, (K, …)."""
        return {name: view for layout, average, _ in self._averaged for name, view in layout.views(average).items()}

    def have_begun(self, epoch: int) -> bool:
        """Return whether averages exist after ``epoch``."""
        return self._part.parts[0].has_begun(epoch)

    def add_step(self, t: int) -> None:
        """Add the weights after step ``t`` of the runs, if every step counts."""
        if self._part.implementation.by_step:
            self._add(t)

    def add_epoch(self, epoch: int) -> None:
        """Add the weights after ``epoch``, if epochs count."""
        if not self._part.implementation.by_step:
            self._add(epoch)

    def _add(self, number: int) -> None:
        for layout, average, current in self._averaged:
            for own, values in zip(layout.split(average), layout.split(current), strict=True):
                self._part.add(own, values, number)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Give the stack the averaged weights and buffers for a while."""
        stored = [current.clone() for _, _, current in self._averaged]
        for _, average, current in self._averaged:
            current.copy_(average)
        try:
            yield
        finally:
            for (_, _, current), values in zip(self._averaged, stored, strict=True):
                current.copy_(values)
