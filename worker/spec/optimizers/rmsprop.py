"""RMSprop: AdaGrad that forgets.

    v ← α·v + (1 − α)·g²
    w ← w − η · g / (√v + ε)

Reference: Tieleman and Hinton, 2012, "Lecture 6.5: rmsprop: divide the gradient by a running average of its recent
magnitude".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import PerRun, Stacked


class RMSprop(LearningRateOptimizer):
    """Divide by the root of a running mean of the squared gradient."""

    equation: ClassVar[str] = "v ← α·v + (1−α)·g²;  w ← w − η·g / (√v + ε)"
    reference: ClassVar[str] = "Tieleman and Hinton 2012, Lecture 6.5: rmsprop"
    state: ClassVar[tuple[str, ...]] = ("square_avg",)

    kind: Literal["rmsprop"] = "rmsprop"
    lr: PerRun[float] = learning_rate_field(0.001)
    alpha: PerRun[float] = Field(default=0.99, ge=0, lt=1, description="α, the decay of the mean of the square.")
    eps: PerRun[float] = Field(default=1e-8, gt=0, le=1, description="ε, keeps the division finite.")

    @staticmethod
    def update(part: Stacked[RMSprop], step: Step) -> None:
        """V ← α·v + (1 − α)·g², then w ← w − η·g/(√v + ε)."""
        alpha = part.column("alpha", 2)
        v = step.state["square_avg"].mul_(alpha).addcmul_(step.g * (1 - alpha), step.g)
        step.w.addcdiv_(step.g.mul_(step.learning_rate), v.sqrt().add_(part.column("eps", 2)), value=-1)
