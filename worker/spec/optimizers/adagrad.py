"""AdaGrad: a weight that had large gradients takes smaller steps from then on.

    s ← s + g²
    w ← w − η · g / (√s + ε)

Reference: Duchi, Hazan and Singer, 2011, "Adaptive subgradient methods for online learning and stochastic
optimization".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import PerRun, Stacked


class Adagrad(LearningRateOptimizer):
    """Divide by the root of the sum of all squared gradients."""

    equation: ClassVar[str] = "s ← s + g²;  w ← w − η·g / (√s + ε)"
    reference: ClassVar[str] = "Duchi, Hazan and Singer 2011, Adaptive subgradient methods"
    state: ClassVar[tuple[str, ...]] = ("sum",)

    kind: Literal["adagrad"] = "adagrad"
    lr: PerRun[float] = learning_rate_field(0.05)
    eps: PerRun[float] = Field(default=1e-10, gt=0, le=1, description="ε, keeps the division finite.")

    @staticmethod
    def update(part: Stacked[Adagrad], step: Step) -> None:
        """S ← s + g², then w ← w − η·g/(√s + ε)."""
        s = step.state["sum"].addcmul_(step.g, step.g)
        step.w.addcdiv_(step.g.mul_(step.learning_rate), s.sqrt().add_(part.column("eps", 2)), value=-1)
