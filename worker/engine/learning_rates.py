"""The learning rates of an epoch's steps: each run's own rate times its schedule's factor."""

from __future__ import annotations

import torch
from torch import Tensor

from worker.engine.stack import Stack


class LearningRates:
    """The learning rate of every run of ``stack`` in every step of ``epoch``."""

    def __init__(self, stack: Stack, epoch: int) -> None:
        specs = [member.spec for member in stack.members]
        self.recorded: list[float] = [
            spec.required_optimizer.learning_rate * spec.schedule.factor(epoch, spec.epochs) for spec in specs
        ]
        """The series ``lr`` of each run."""
        self._rates = torch.tensor(self.recorded, dtype=torch.float32, device=stack.device).unsqueeze(1)

    def at(self, t: int) -> Tensor:
        """Return the rates of step ``t`` of the runs, counted from 1; (K, 1)."""
        return self._rates
