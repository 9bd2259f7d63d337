"""Whether and why a run ends: a pure function of its spec and what is recorded, so that resumed runs decide alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from worker.spec.averaging import SUFFIX
from worker.spec.families.schedule import History
from worker.spec.families.stop import Stop
from worker.spec.run import RunSpec
from worker.spec.watched import Measured, is_evaluated, measured


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
            if limit is None:
                count = rule.first_stop(self._watched(rule, history))
                epoch = None if count is None else Measured.of(rule.watched or "", self._spec).epoch(count)
            else:
                epoch = -(-limit // self._spec.steps_per_epoch)
            if epoch is not None and epoch <= length:
                stops.append((epoch, i))
        return min(stops, default=None)

    def ending(self, epoch: int, history: History) -> Ending | None:
        """Return why the run ends after ``epoch``, the last of ``history``; None if it continues."""
        if any(values[-1] is None for name, values in history.items() if values and self._is_loss_of(epoch, name)):
            return Ending("diverged", epoch)
        if epoch >= self._spec.epochs:
            return Ending("finished", epoch)
        steps = epoch * self._spec.steps_per_epoch
        for i, (rule, limit) in enumerate(zip(self._spec.stop, self._limits, strict=True)):
            if (limit is not None and limit <= steps) or rule.stopped(self._watched(rule, history)):
                return Ending("stopped_early", epoch, i)
        return None

    def _is_loss_of(self, epoch: int, name: str) -> bool:
        """Return whether the series ``name`` is a loss that is measured in ``epoch``."""
        if ".loss" not in name or not is_evaluated(name):
            return ".loss" in name
        averaging = self._spec.averaging if name.endswith(SUFFIX) else None
        return self._spec.evaluates(epoch) and (averaging is None or averaging.has_begun(epoch))

    def _watched(self, rule: Stop, history: History) -> History:
        """Return the series that the rule watches, without the epochs in which it is not measured."""
        watched = {name: values for name, values in history.items() if name == rule.watched}
        return measured(watched, self._spec)
