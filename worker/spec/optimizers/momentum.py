"""SGD with momentum (the heavy ball): steps continue in their previous direction.

    m ← μ·m + (1 − τ)·g        (the first step takes g whole)
    w ← w − η·m

Reference: Polyak, 1964, "Some methods of speeding up the convergence of iteration methods"; this form, with the
learning rate outside of the buffer and the dampening τ, is that of ``torch.optim.SGD``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import PerRun, Stacked


class Momentum(LearningRateOptimizer):
    """Step against a decaying sum of the gradients."""

    equation: ClassVar[str] = "m ← μ·m + (1 − τ)·g;  w ← w − η·m"
    reference: ClassVar[str] = "Polyak 1964, Some methods of speeding up the convergence of iteration methods"
    state: ClassVar[tuple[str, ...]] = ("momentum_buffer",)

    kind: Literal["momentum"] = "momentum"
    lr: PerRun[float] = learning_rate_field(0.05)
    momentum: PerRun[float] = Field(default=0.9, ge=0, lt=1, description="μ; 0 is plain SGD.")
    dampening: PerRun[float] = Field(default=0.0, ge=0, lt=1, description="τ: how much of a new gradient is left out.")

    @staticmethod
    def update(part: Stacked[Momentum], step: Step) -> None:
        """M ← μ·m + (1 − τ)·g, then w ← w − η·m."""
        m = step.state["momentum_buffer"].mul_(part.column("momentum", 2))
        if step.t == 1:
            m.add_(step.g)
        else:
            m.addcmul_(step.g, 1 - part.column("dampening", 2))
        step.w.addcmul_(m, step.learning_rate, value=-1)
