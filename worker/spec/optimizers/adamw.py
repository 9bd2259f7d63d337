"""AdamW: Adam with weight decay that does not go through the gradient.

    w ← w − η·λ·w,    then Adam's step

With Adam, an L2 penalty is divided by √v̂ like any gradient, so weights with large gradients decay less; here all decay
alike. All parameters decay, biases too, as in ``torch.optim.AdamW``, unless ``decay_on`` exempts them.

Reference: Loshchilov and Hutter, 2019, "Decoupled weight decay regularization".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.adaptive import adam_step, decay_weights
from worker.spec.families.optimizer import DecayOn, LearningRateOptimizer, Step, decay_on_field, learning_rate_field
from worker.spec.part import PerRun, Stacked


class AdamW(LearningRateOptimizer):
    """Adam with decoupled weight decay."""

    equation: ClassVar[str] = "w ← w − η·λ·w;  w ← w − η·m̂ / (√v̂ + ε)"
    reference: ClassVar[str] = "Loshchilov and Hutter 2019, Decoupled weight decay regularization"
    state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")

    kind: Literal["adamw"] = "adamw"
    lr: PerRun[float] = learning_rate_field(0.001)
    beta1: float = Field(default=0.9, ge=0, lt=1, description="β₁, the decay of the mean of the gradient.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="β₂, the decay of the mean of its square.")
    eps: PerRun[float] = Field(default=1e-8, gt=0, le=1, description="ε, keeps the division finite.")
    weight_decay: PerRun[float] = Field(default=0.01, ge=0, le=1e6, description="λ; 0 is plain Adam.")
    decay_on: DecayOn = decay_on_field()

    @staticmethod
    def update(part: Stacked[AdamW], step: Step) -> None:
        """Weight decay, then Adam's step."""
        decay_weights(part, step)
        adam_step(step, part.beta1, part.beta2, part.column("eps", 2))
