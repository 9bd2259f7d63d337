"""NAdam: Adam that looks one step of its momentum ahead, as Nesterov does.

    μ_t = β₁·(1 − ½·0.96^(t·ψ))
    m ← β₁·m + (1 − β₁)·g
    v ← β₂·v + (1 − β₂)·g²,    v̂ = v / (1 − β₂ᵗ)
    w ← w − η · (μ_{t+1}·m / (1 − ∏_{i ≤ t+1} μ_i) + (1 − μ_t)·g / (1 − ∏_{i ≤ t} μ_i)) / (√v̂ + ε)

Reference: Dozat, 2016, "Incorporating Nesterov momentum into Adam"; this form is that of ``torch.optim.NAdam``.
"""

from __future__ import annotations

import functools
from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import PerRun, Stacked


class NAdam(LearningRateOptimizer):
    """Adam with Nesterov's momentum."""

    equation: ClassVar[str] = "w ← w − η·(μ′m / (1−∏μ′) + (1−μ)g / (1−∏μ)) / (√v̂ + ε)"
    reference: ClassVar[str] = "Dozat 2016, Incorporating Nesterov momentum into Adam"
    state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")

    kind: Literal["nadam"] = "nadam"
    lr: PerRun[float] = learning_rate_field(0.002)
    beta1: float = Field(default=0.9, ge=0, lt=1, description="β₁, the decay of the mean of the gradient.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="β₂, the decay of the mean of its square.")
    eps: PerRun[float] = Field(default=1e-8, gt=0, le=1, description="ε, keeps the division finite.")
    momentum_decay: float = Field(default=4e-3, ge=0, le=1, description="ψ, how fast μ_t comes to β₁.")

    @staticmethod
    def update(part: Stacked[NAdam], step: Step) -> None:
        """One step; the products of μ are a function of t alone, so nothing more is kept."""
        m, v = step.state["exp_avg"], step.state["exp_avg_sq"]
        m.lerp_(step.g, 1 - part.beta1)
        v.mul_(part.beta2).addcmul_(step.g, step.g, value=1 - part.beta2)
        now, then = (
            momentum(part.beta1, part.momentum_decay, step.t),
            momentum(part.beta1, part.momentum_decay, step.t + 1),
        )
        product = momentum_product(part.beta1, part.momentum_decay, step.t)
        ahead, here = then / (1 - product * then), (1 - now) / (1 - product)
        denominator = (v / (1 - part.beta2**step.t)).sqrt_().add_(part.column("eps", 2))
        step.w.addcdiv_(step.g.mul_(here).add_(m, alpha=ahead).mul_(step.learning_rate), denominator, value=-1)


def momentum(beta1: float, decay: float, t: int) -> float:
    """μ_t."""
    return float(beta1 * (1 - 0.5 * 0.96 ** (t * decay)))


BLOCK = 256


@functools.lru_cache(maxsize=64)
def momentum_product(beta1: float, decay: float, t: int) -> float:
    """∏ μ_i for i = 1 … t, from that of the step before; a resumed run goes back to the last multiple of BLOCK."""
    if t % BLOCK == 0:
        return _product_at(beta1, decay, t // BLOCK)
    return momentum_product(beta1, decay, t - 1) * momentum(beta1, decay, t)


@functools.lru_cache(maxsize=4096)
def _product_at(beta1: float, decay: float, block: int) -> float:
    """∏ μ_i for i = 1 … block·BLOCK."""
    product = 1.0
    for i in range(1, block * BLOCK + 1):
        product *= momentum(beta1, decay, i)
        if product == 0.0:
            break
    return product
