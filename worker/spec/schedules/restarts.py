"""Cosine annealing with warm restarts, by steps: the learning rate falls along half a cosine, again and again.

    η_i = η · (φ + (1 − φ) · (1 + cos(π·c/n)) / 2)

c counts the steps since the last restart, and n is the number of steps of this period: the first has ``period`` epochs,
and each is ``multiplier`` times as long as the one before. As
``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`` in fractions of epochs. A run that ends with a period, after
``period``·(multiplierᵏ − 1)/(multiplier − 1) epochs, ends at the lowest learning rate.

Reference: Loshchilov and Hutter, 2017, "SGDR: stochastic gradient descent with warm restarts".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.schedule import Moment, Schedule
from worker.spec.part import Objection

if TYPE_CHECKING:
    from worker.spec.run import RunSpec


class Restarts(Schedule):
    """Fall along half a cosine, return to the full learning rate, and fall again over a longer period."""

    equation: ClassVar[str] = "η_i = η · (φ + (1 − φ)·(1 + cos(π·c/n))/2),  c steps after the last of the restarts"
    reference: ClassVar[str] = "Loshchilov and Hutter 2017, SGDR: stochastic gradient descent with warm restarts"

    kind: Literal["restarts"] = "restarts"
    period: int = Field(default=1, ge=1, le=100_000, description="Epochs of the first period.")
    multiplier: int = Field(default=2, ge=1, le=100, description="How many times as long each period is as the last.")
    final: float = Field(default=0.0, ge=0, le=1, description="φ, the factor that a period's last step comes close to.")

    @property
    def by_step(self) -> bool:
        """Every step has its own factor."""
        return True

    def factor_at(self, moment: Moment) -> float:
        """The cosine's height in the period of the step."""
        index, length = moment.step - 1, self.period * moment.steps_per_epoch
        if self.multiplier == 1:
            index %= length
        while index >= length:
            index -= length
            length *= self.multiplier
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * index / length)) / 2

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a first period that is longer than the run."""
        if not run.model.trains or self.period * run.steps_per_epoch <= run.total_steps:
            return ()
        message = (
            f"The first period has {self.period} epochs, and the run ends after "
            f"{run.total_steps / run.steps_per_epoch:g}. Shorten the period, or train for longer."
        )
        return [Objection(field="period", message=message)]
