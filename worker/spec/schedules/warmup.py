"""Warm-up: from a small learning rate up to the full one, then constant or along a cosine.

    η_e = η · (σ + (1 − σ)·(e − 1)/(w − 1)) up to e = w, then η or half a cosine down to 0

Reference: Goyal et al., 2017, "Accurate, large minibatch SGD: training ImageNet in 1 hour"; Loshchilov and Hutter,
2017, "SGDR: stochastic gradient descent with warm restarts" (the cosine).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.schedule import Schedule
from worker.spec.part import Objection

if TYPE_CHECKING:
    from worker.spec.run import RunSpec


class Warmup(Schedule):
    """Rise linearly for some epochs, then continue as ``then`` says."""

    equation: ClassVar[str] = "η_e = η · (σ + (1 − σ)·(e − 1)/(w − 1)) up to e = w, then η or half a cosine down to 0"
    reference: ClassVar[str] = "Goyal et al. 2017, Accurate, large minibatch SGD: training ImageNet in 1 hour"

    kind: Literal["warmup"] = "warmup"
    epochs: int = Field(default=5, ge=1, description="w: the epoch that first has the full learning rate.")
    start: float = Field(default=0.1, ge=0, le=1, description="σ, the first epoch's factor.")
    then: Literal["constant", "cosine"] = Field(default="constant", description="What comes after the rise.")

    @property
    def spans(self) -> bool:
        """Where a cosine follows, it ends with the last epoch."""
        return self.then != "constant"

    def factor(self, epoch: int, epochs: int) -> float:
        """The rise, or what comes after it; ``epochs`` is here the run's length."""
        if epoch < self.epochs:
            return self.start + (1 - self.start) * (epoch - 1) / (self.epochs - 1)
        if self.then == "constant":
            return 1.0
        done = (epoch - self.epochs) / max(epochs - self.epochs, 1)
        return (1 + math.cos(math.pi * done)) / 2

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a rise that leaves no epoch for the cosine; before a constant rate, the run may be extended later."""
        if not self.spans or self.epochs <= run.epochs:
            return ()
        message = (
            f"The warm-up has {self.epochs} epochs, and the run has {run.epochs}, so the cosine never begins. Lower "
            "schedule.epochs, or train for longer."
        )
        return [Objection(field="epochs", message=message)]
