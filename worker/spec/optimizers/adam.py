"""Adam: each weight has a step size of its own, from running means of the gradient and of its square.

    m ← β₁·m + (1 − β₁)·g        m̂ = m / (1 − β₁ᵗ)
    v ← β₂·v + (1 − β₂)·g²       v̂ = v / (1 − β₂ᵗ)
    w ← w − η · m̂ / (√v̂ + ε)

Reference: Kingma and Ba, 2015, "Adam: a method for stochastic optimization".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.adaptive import adam_step
from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import PerRun, Stacked


class Adam(LearningRateOptimizer):
    """Adaptive moment estimation. L2 goes through the gradient here; it is not decoupled as in AdamW."""

    equation: ClassVar[str] = "m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  w ← w − η·m̂ / (√v̂ + ε)"
    reference: ClassVar[str] = "Kingma and Ba 2015, Adam: a method for stochastic optimization"
    state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")

    kind: Literal["adam"] = "adam"
    lr: PerRun[float] = learning_rate_field(0.001)
    beta1: float = Field(default=0.9, ge=0, lt=1, description="β₁, the decay of the mean of the gradient.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="β₂, the decay of the mean of its square.")
    eps: PerRun[float] = Field(default=1e-8, gt=0, le=1, description="ε, keeps the division finite.")

    @staticmethod
    def update(part: Stacked[Adam], step: Step) -> None:
        """One step with bias correction."""
        adam_step(step, part.beta1, part.beta2, part.column("eps", 2))
