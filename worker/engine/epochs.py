"""The interface between the training loop and the ways in which runs come from one epoch to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, Self

from worker.engine.evaluator import Evaluator
from worker.engine.stack import Stack
from worker.spec.families.schedule import History


class Epoch(Protocol):
    """An epoch of a stack, as far as it has come."""

    stack: Stack
    steps: int
    """Optimizer steps so far in this epoch."""

    @property
    def remaining_steps(self) -> range:
        """The numbers of the steps ahead, counted over all epochs from 1."""

    def train_step(self, t: int) -> None:
        """Take step ``t`` with every run."""

    def only(self, positions: Sequence[int]) -> Self:
        """Return the epoch of the runs at ``positions`` as a separate stack; their bits do not change."""

    def without(self, positions: Sequence[int]) -> Self:
        """Return the epoch of the other runs, likewise."""

    def measure(self, evaluator: Evaluator) -> list[dict[str, float]]:
        """Return the metrics of each run after the steps so far, without those of splits that are evaluated."""


class Strategy(Protocol):
    """How the runs of a stack come from one epoch to the next."""

    def prepare(self, stack: Stack) -> Iterable[None]:
        """Prepare for evaluation; runs may leave whenever this yields."""

    def begin(self, stack: Stack, epoch: int, histories: Mapping[str, History]) -> Epoch:
        """Return the epoch before its first step; ``histories`` has the series of the epochs before, by run."""
