"""Lion: steps of the same length for every weight, in the direction of the sign of a momentum.

    u = β₁·m + (1 − β₁)·g
    w ← w − η·(sign(u) + λ·w)
    m ← β₂·m + (1 − β₂)·g

Every weight moves by η, so η is usually 3 to 10 times smaller than Adam's, and λ as many times larger.

Reference: Chen et al., 2023, "Symbolic discovery of optimization algorithms".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.adaptive import decay_weights
from worker.spec.families.optimizer import DecayOn, LearningRateOptimizer, Step, decay_on_field, learning_rate_field
from worker.spec.part import PerRun, Stacked


class Lion(LearningRateOptimizer):
    """Step by the sign of the mean of momentum and gradient."""

    equation: ClassVar[str] = "w ← w − η·(sign(β₁m + (1−β₁)g) + λw);  m ← β₂m + (1−β₂)g"
    reference: ClassVar[str] = "Chen et al. 2023, Symbolic discovery of optimization algorithms"
    state: ClassVar[tuple[str, ...]] = ("exp_avg",)

    kind: Literal["lion"] = "lion"
    lr: PerRun[float] = learning_rate_field(0.0003)
    beta1: float = Field(default=0.9, ge=0, lt=1, description="β₁, the share of the momentum in a step's direction.")
    beta2: float = Field(default=0.99, ge=0, lt=1, description="β₂, the decay of the momentum.")
    weight_decay: PerRun[float] = Field(default=0.0, ge=0, le=1e6, description="λ, decoupled as in AdamW.")
    decay_on: DecayOn = decay_on_field()

    @staticmethod
    def update(part: Stacked[Lion], step: Step) -> None:
        """Weight decay, then a step by the sign; the momentum follows."""
        decay_weights(part, step)
        m = step.state["exp_avg"]
        direction = (m * part.beta1).add_(step.g, alpha=1 - part.beta1).sign_()
        step.w.addcmul_(direction, step.learning_rate, value=-1)
        m.lerp_(step.g, 1 - part.beta2)
