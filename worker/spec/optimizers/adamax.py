"""AdaMax: Adam with the largest recent gradient in place of the root mean square.

    m ← β₁·m + (1 − β₁)·g
    u ← max(β₂·u, |g| + ε)
    w ← w − η/(1 − β₁ᵗ) · m / u

Reference: Kingma and Ba, 2015, "Adam: a method for stochastic optimization", section 7.1; ε as in
``torch.optim.Adamax``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class AdaMax(LearningRateOptimizer):
    """Adam in the infinity norm: the scale of a weight's steps is its largest recent gradient."""

    equation: ClassVar[str] = "m ← β₁m + (1−β₁)g;  u ← max(β₂u, |g| + ε);  w ← w − η·m̂ / u"
    reference: ClassVar[str] = "Kingma and Ba 2015, Adam: a method for stochastic optimization, section 7.1"
    state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_inf")

    kind: Literal["adamax"] = "adamax"
    lr: PerRun[float] = learning_rate_field(0.002)
    beta1: float = Field(default=0.9, ge=0, lt=1, description="β₁, the decay of the mean of the gradient.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="β₂, the decay of the largest gradient.")
    eps: PerRun[float] = Field(default=1e-8, gt=0, le=1, description="ε, keeps the division finite.")

    @staticmethod
    def update(part: Stacked[AdaMax], step: Step) -> None:
        """One step; a gradient that is not a number makes u one, as it does the other optimizers' state."""
        import torch

        m = step.state["exp_avg"].lerp_(step.g, 1 - part.beta1)
        u: Tensor = step.state["exp_inf"].mul_(part.beta2)
        torch.maximum(u, step.g.abs_().add_(part.column("eps", 2)), out=u)
        step.w.addcdiv_(m * (step.learning_rate / (1 - part.beta1**step.t)), u, value=-1)
