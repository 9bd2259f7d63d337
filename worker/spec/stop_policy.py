"""Whether and why a run ends: a pure function of its spec and what is recorded, so that resumed runs decide alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from worker.spec.families.schedule import History
from worker.spec.run import RunSpec


@dataclass(frozen=True)
class Ending:
    """Why a run ended after ``epoch``."""

    code: Literal["finished", "stopped_early", "diverged"]
    epoch: int
    rule: int | None = None
    """Position of the stop rule in the spec's ``stop``; None unless a rule ended the run."""


class StopPolicy:
    """The number of epochs and the stop rules of a run."""

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        self._limits = [rule.step_limit() for rule in spec.stop]
        self.step_limit = spec.step_limit
        """The fewest optimizer steps that any rule allows."""

    def first_stop(self, history: History) -> tuple[int, int] | None:
        """Return the first epoch of ``history`` after which a rule ends the run, and the rule's position; else None."""
        length = max(map(len, history.values()), default=0)
        stops: list[tuple[int, int]] = []
        for i, (rule, limit) in enumerate(zip(self._spec.stop, self._limits, strict=True)):
            epoch = rule.first_stop(history) if limit is None else -(-limit // self._spec.steps_per_epoch)
            if epoch is not None and epoch <= length:
                stops.append((epoch, i))
        return min(stops, default=None)

    def ending(self, epoch: int, history: History) -> Ending | None:
        """Return why the run ends after ``epoch``, the last of ``history``; None if it continues."""
        if any(values and values[-1] is None for name, values in history.items() if ".loss" in name):
            return Ending("diverged", epoch)
        if epoch >= self._spec.epochs:
            return Ending("finished", epoch)
        steps = epoch * self._spec.steps_per_epoch
        for i, (rule, limit) in enumerate(zip(self._spec.stop, self._limits, strict=True)):
            if (limit is not None and limit <= steps) or rule.stopped(history):
                return Ending("stopped_early", epoch, i)
        return None
