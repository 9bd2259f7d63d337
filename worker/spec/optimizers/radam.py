"""RAdam: Adam whose first steps do without the adaptive step size, because its variance is still unbounded.

    ρ∞ = 2/(1 − β₂) − 1,    ρ_t = ρ∞ − 2·t·β₂ᵗ/(1 − β₂ᵗ)
    w ← w − η·m̂                                where ρ_t ≤ 5
    w ← w − η·r_t·m̂·√(1 − β₂ᵗ) / (√v + ε)       where ρ_t > 5
    r_t = √((ρ_t − 4)(ρ_t − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ_t))

m, v and m̂ are Adam's. The factor r_t acts as a warm-up that needs no length.

Reference: Liu et al., 2020, "On the variance of the adaptive learning rate and beyond"; this form is that of
``torch.optim.RAdam`` with ``decoupled_weight_decay``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.adaptive import decay_weights
from worker.spec.families.optimizer import DecayOn, LearningRateOptimizer, Step, decay_on_field, learning_rate_field
from worker.spec.part import PerRun, Stacked

TRACTABLE = 5
"""The ρ_t beyond which the variance of the adaptive step size is finite, with a margin as in the paper's code."""


class RAdam(LearningRateOptimizer):
    """Adam with a rectified variance, which needs no warm-up."""

    equation: ClassVar[str] = "w ← w − η·m̂ where ρ ≤ 5, else w − η·r·m̂·√(1−β₂ᵗ) / (√v + ε)"
    reference: ClassVar[str] = "Liu et al. 2020, On the variance of the adaptive learning rate and beyond"
    state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")

    kind: Literal["radam"] = "radam"
    lr: PerRun[float] = learning_rate_field(0.001)
    beta1: float = Field(default=0.9, ge=0, lt=1, description="β₁, the decay of the mean of the gradient.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="β₂, the decay of the mean of its square.")
    eps: PerRun[float] = Field(default=1e-8, gt=0, le=1, description="ε, keeps the division finite.")
    weight_decay: PerRun[float] = Field(default=0.0, ge=0, le=1e6, description="λ, decoupled as in AdamW.")
    decay_on: DecayOn = decay_on_field()

    @staticmethod
    def update(part: Stacked[RAdam], step: Step) -> None:
        """Weight decay, then a step along m̂, or along Adam's direction as far as its variance is known."""
        decay_weights(part, step)
        m, v = step.state["exp_avg"], step.state["exp_avg_sq"]
        m.lerp_(step.g, 1 - part.beta1)
        v.mul_(part.beta2).addcmul_(step.g, step.g, value=1 - part.beta2)
        corrected = step.learning_rate / (1 - part.beta1**step.t)
        factor = rectification(part.beta2, step.t)
        if factor is None:
            step.w.addcmul_(m, corrected, value=-1)
        else:
            rate = corrected * (factor * (1 - part.beta2**step.t) ** 0.5)
            step.w.addcdiv_(m * rate, v.sqrt().add_(part.column("eps", 2)), value=-1)


def rectification(beta2: float, t: int) -> float | None:
    """Return r_t, or None where the variance is not yet tractable."""
    infinite = 2 / (1 - beta2) - 1
    rho = infinite - 2 * t * beta2**t / (1 - beta2**t)
    if rho <= TRACTABLE:
        return None
    return float(((rho - 4) * (rho - 2) * infinite / ((infinite - 4) * (infinite - 2) * rho)) ** 0.5)
