"""SGD with Nesterov's momentum: the gradient looks one step of the momentum ahead.

    m ← μ·m + g
    w ← w − η·(g + μ·m)

Reference: Nesterov, 1983, "A method for solving the convex programming problem with convergence rate O(1/k²)";
Sutskever, Martens, Dahl and Hinton, 2013, "On the importance of initialization and momentum in deep learning". This
form is that of ``torch.optim.SGD(nesterov=True)``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import PerRun, Stacked


class Nesterov(LearningRateOptimizer):
    """Momentum that corrects itself before it steps."""

    equation: ClassVar[str] = "m ← μ·m + g;  w ← w − η·(g + μ·m)"
    reference: ClassVar[str] = (
        "Sutskever, Martens, Dahl and Hinton 2013, On the importance of initialization and momentum in deep learning"
    )
    state: ClassVar[tuple[str, ...]] = ("momentum_buffer",)

    kind: Literal["nesterov"] = "nesterov"
    lr: PerRun[float] = learning_rate_field(0.05)
    momentum: PerRun[float] = Field(default=0.9, ge=0, lt=1, description="μ; 0 is plain SGD.")

    @staticmethod
    def update(part: Stacked[Nesterov], step: Step) -> None:
        """M ← μ·m + g, then w ← w − η·(g + μ·m)."""
        mu = part.column("momentum", 2)
        m = step.state["momentum_buffer"].mul_(mu).add_(step.g)
        step.w.addcmul_(step.g.addcmul_(m, mu), step.learning_rate, value=-1)
