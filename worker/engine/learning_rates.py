"""The learning rates of an epoch's steps: each run's own rate times its schedule's factor."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from worker.engine.stack import Member, Stack
from worker.spec.families.schedule import NO_HISTORY, History, Moment
from worker.spec.watched import measured

NO_HISTORIES: Mapping[str, History] = {}


class LearningRates:
    """The learning rate of every run of ``stack`` in the steps of ``epoch``, of which ``steps`` were taken.

    ``histories`` has the recorded series of the epochs before, by run.
    """

    def __init__(
        self, stack: Stack, epoch: int, *, steps: int = 0, histories: Mapping[str, History] = NO_HISTORIES
    ) -> None:
        self._members = stack.members
        self._measured = [measured(histories.get(one.run_id, NO_HISTORY), one.spec) for one in stack.members]
        self._by_step = any(member.spec.schedule.by_step for member in stack.members)
        before = (epoch - 1) * stack.members[0].spec.steps_per_epoch if len(stack) else 0
        self.recorded = self._at(before + max(steps, 1))
        """The series ``lr`` of each run: the rate of the last step."""
        self._rates = torch.tensor(self.recorded, dtype=torch.float32, device=stack.device).unsqueeze(1)

    def at(self, t: int) -> Tensor:
        """Return the rates of step ``t`` of the runs, counted from 1; (K, 1)."""
        if self._by_step:
            self.recorded = self._at(t)
            self._rates.copy_(torch.tensor(self.recorded, dtype=torch.float32).unsqueeze(1))
        return self._rates

    def _at(self, t: int) -> list[float]:
        return [_rate(one, t, history) for one, history in zip(self._members, self._measured, strict=True)]


def _rate(member: Member, t: int, history: History) -> float:
    """Return a run's learning rate in step ``t``; ``history`` has the values of measured epochs only."""
    spec = member.spec
    moment = Moment(t, spec.steps_per_epoch, spec.epochs, spec.total_steps, history)
    return spec.required_optimizer.learning_rate * spec.schedule.factor_at(moment)
