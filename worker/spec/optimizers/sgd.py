"""Stochastic gradient descent.

    w ← w − η·g

Reference: Robbins and Monro, 1951, "A stochastic approximation method".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import PerRun, Stacked


class SGD(LearningRateOptimizer):
    """Step against the gradient."""

    equation: ClassVar[str] = "w ← w − η·g"
    reference: ClassVar[str] = "Robbins and Monro 1951, A stochastic approximation method"

    kind: Literal["sgd"] = "sgd"
    lr: PerRun[float] = learning_rate_field(0.1)

    @staticmethod
    def update(part: Stacked[SGD], step: Step) -> None:
        """W ← w − η·g."""
        step.w.addcmul_(step.g, step.learning_rate, value=-1)
