"""Schedules: the learning rate over the epochs."""

from __future__ import annotations

from worker.spec.part import Part


class Schedule(Part):
    """The learning rate over the epochs, as a factor on the optimizer's ``lr``."""

    @property
    def spans(self) -> bool:
        """Whether an epoch's factor depends on how many epochs there are to be."""
        return False

    def factor(self, epoch: int, epochs: int) -> float:
        """The factor in ``epoch``, counted from 1 to ``epochs``."""
        raise NotImplementedError
