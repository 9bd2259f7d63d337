"""Averaged gradients without a learning rate, the form that some course notes call momentum.

    m ← β·m + (1 − β)·g
    w ← w − m

This form has no learning rate, so a "chosen" one changes nothing. The form equals ``momentum`` with η = 1 − β
and μ = β, so it is a good choice only where that is one.

Reference: Goh, 2017, "Why momentum really works" (the forms of momentum and what their constants mean).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import Optimizer, Step
from worker.spec.part import Objection, PerRun, Stacked

if TYPE_CHECKING:
    from worker.spec.run import RunSpec


class SGDEMA(Optimizer):
    """Step against the running mean of the gradients, as it is; refuses ``lr``, which it does not have."""

    equation: ClassVar[str] = "m ← β·m + (1 − β)·g;  w ← w − m"
    reference: ClassVar[str] = "Goh 2017, Why momentum really works"
    state: ClassVar[tuple[str, ...]] = ("exp_avg",)

    kind: Literal["sgd_ema"] = "sgd_ema"
    beta: PerRun[float] = Field(default=0.9, ge=0, lt=1, description="β, the decay of the mean.")

    def objections(self, run: RunSpec) -> list[Objection]:
        """Refuse a schedule, because this optimizer has no learning rate."""
        if run.schedule.kind == "constant":
            return []
        message = (
            f"'sgd_ema' has no learning rate, so the schedule {run.schedule.kind!r} has nothing to change; leave the"
        )
        return [Objection(field=None, message=f"{message} schedule out, or use 'momentum', which has one.")]

    @staticmethod
    def update(part: Stacked[SGDEMA], step: Step) -> None:
        """M ← β·m + (1 − β)·g, then w ← w − m."""
        beta = part.column("beta", 2)
        step.w.sub_(step.state["exp_avg"].mul_(beta).addcmul_(step.g, 1 - beta))
