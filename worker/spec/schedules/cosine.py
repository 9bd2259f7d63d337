"""Cosine annealing: from the full learning rate down to a last one along half a cosine.

By epochs, the last epoch has the factor φ. With φ = 0, its learning rate is 0 and it changes nothing but the statistics
of norms:

    η_e = η · (φ + (1 − φ) · (1 + cos(π·(e − 1) / max(E − 1, 1))) / 2),    e = 1 … E

By steps, after a warm-up of w steps, every step has its own rate, which is above 0:

    η_i = η · (i + 1)/(w + 1)                                              i = 0 … w − 1
    η_i = η · (φ + (1 − φ) · (1 + cos(π·(i − w)/(T − w))) / 2)             i = w … T − 1

Reference: Loshchilov and Hutter, 2017, "SGDR: stochastic gradient descent with warm restarts" (without restarts);
Goyal et al., 2017, "Accurate, large minibatch SGD: training ImageNet in 1 hour" (the warm-up).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.schedule import Moment, SpanningSchedule, warmup_field
from worker.spec.part import Objection

if TYPE_CHECKING:
    from worker.spec.run import RunSpec


class Cosine(SpanningSchedule):
    """Full learning rate at first, ``final`` times it at last."""

    equation: ClassVar[str] = "η_e = η · (φ + (1 − φ)·(1 + cos(π·(e − 1)/(E − 1)))/2)"
    reference: ClassVar[str] = "Loshchilov and Hutter 2017, SGDR: stochastic gradient descent with warm restarts"

    kind: Literal["cosine"] = "cosine"
    final: float = Field(default=0.0, ge=0, le=1, description="φ, the last epoch's factor.")
    per: Literal["epoch", "step"] = Field(
        default="epoch",
        exclude_if=lambda per: per == "epoch",  # so that hashes are the same as before steps could be chosen
        description="Whether the learning rate changes between epochs or with every step. By epochs, the last one "
        "trains with 'final' times the learning rate, so with none if that is 0; by steps, none does.",
    )
    warmup: float = warmup_field(exclude_if=lambda warmup: warmup == 0)

    @property
    def by_step(self) -> bool:
        """As ``per`` says."""
        return self.per == "step"

    def curve(self, done: float) -> float:
        """Half a cosine."""
        return (1 + math.cos(math.pi * done)) / 2

    def factor(self, epoch: int, epochs: int) -> float:
        """The cosine's height at ``epoch``."""
        done = (epoch - 1) / max(epochs - 1, 1)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2

    def factor_at(self, moment: Moment) -> float:
        """The height at the step, or at its epoch."""
        return super().factor_at(moment) if self.by_step else self.factor(moment.epoch, moment.epochs)

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a warm-up by epochs, and one that is as long as the run."""
        if self.by_step or not self.warmup:
            return super().objections(run) if self.by_step else ()
        message = "The warm-up of 'cosine' goes by steps. Set per to 'step', or use 'warmup' with then: 'cosine'."
        return [Objection(field="warmup", message=message)]
