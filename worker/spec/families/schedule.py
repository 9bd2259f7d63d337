"""Schedules: the learning rate over the epochs."""

from __future__ import annotations

from worker.spec.part import Part


class Schedule(Part):
    """The learning rate over the epochs, as a factor on the optimizer's ``lr``."""

    @property
    def spans(self) -> bool:
        """Whether the factor of an epoch depends on the total number of epochs."""
        return False

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor in ``epoch``, counted from 1 to ``epochs``."""
        raise NotImplementedError
