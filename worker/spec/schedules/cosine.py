"""Cosine annealing: from the full learning rate down to a last one along half a cosine.

    η_e = η · (φ + (1 − φ) · (1 + cos(π·(e − 1) / max(E − 1, 1))) / 2),    e = 1 … E

Reference: Loshchilov and Hutter, 2017, "SGDR: stochastic gradient descent with warm restarts" (without restarts).
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.schedule import Schedule


class Cosine(Schedule):
    """Full learning rate in the first epoch, ``final`` times it in the last."""

    equation: ClassVar[str] = "η_e = η · (φ + (1 − φ)·(1 + cos(π·(e − 1)/(E − 1)))/2)"
    reference: ClassVar[str] = "Loshchilov and Hutter 2017, SGDR: stochastic gradient descent with warm restarts"

    kind: Literal["cosine"] = "cosine"
    final: float = Field(default=0.0, ge=0, le=1, description="φ, the last epoch's factor.")

    @property
    def spans(self) -> bool:
        """The cosine ends with the last epoch."""
        return True

    def factor(self, epoch: int, epochs: int) -> float:
        """The cosine's height at ``epoch``."""
        done = (epoch - 1) / max(epochs - 1, 1)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2
