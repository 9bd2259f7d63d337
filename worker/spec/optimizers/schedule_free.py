"""Schedule-free training: an average of the iterates in place of a learning rate that falls.

    y = (1 − β)·z + β·x                 where the gradient is computed
    z ← z − η_t·d(∇f(y)) − η_t·λ·y       the iterates of SGD, or with Adam's denominator
    x ← (1 − c_t)·x + c_t·z              their average, which is evaluated and stored

    c_t = η_t² / Σ_{i ≤ t} η_i²,    η_t = η·min(1, t/w)

The base ``sgd`` has d(g) = g, ``adamw`` d(g) = g/(√v̂ + ε). The length of the run appears nowhere. A warm-up of w steps
replaces the schedule. Between epochs, the weights are x; within an epoch they are y, from which x follows by z.

Reference: Defazio, Yang, Mehta, Mishchenko, Khaled and Cutkosky, 2024, "The road less scheduled".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import defines
from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import Objection, PerRun, Stacked

if TYPE_CHECKING:
    from worker.spec.run import RunSpec


class ScheduleFree(LearningRateOptimizer):
    """Compute gradients between the iterates and their average, and evaluate the average."""

    equation: ClassVar[str] = "y = (1−β)z + βx;  z ← z − η·(d(∇f(y)) + λy);  x ← (1−c)x + cz,  c = η²/Ση²"
    reference: ClassVar[str] = "Defazio et al. 2024, The road less scheduled"
    state: ClassVar[tuple[str, ...]] = ("z",)
    averages: ClassVar[bool] = True

    kind: Literal["schedule_free"] = "schedule_free"
    lr: PerRun[float] = learning_rate_field(0.005)
    base: Literal["adamw", "sgd"] = Field(
        default="adamw", description="The steps of the iterates; sgd needs a learning rate about 100 times as large."
    )
    beta1: float = Field(default=0.9, gt=0, lt=1, description="β, the share of the average where gradients are taken.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="β₂ of adamw, the decay of the mean square.")
    eps: PerRun[float] = Field(default=1e-8, gt=0, le=1, description="ε of adamw, keeps the division finite.")
    weight_decay: PerRun[float] = Field(default=0.0, ge=0, le=1e6, description="λ, decoupled as in AdamW.")
    warmup_steps: int = Field(default=0, ge=0, le=1_000_000, description="w: steps in which η rises linearly.")

    @property
    def state_names(self) -> tuple[str, ...]:
        """The iterates, and the mean square of adamw."""
        return (*self.state, "exp_avg_sq") if self.base == "adamw" else self.state

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a schedule, a warm-up as long as the run, and parts that change weights after a step."""
        objections = []
        if run.schedule.kind != "constant":
            message = (
                f"'schedule_free' replaces the schedule {run.schedule.kind!r}. Leave the schedule out, and set "
                "warmup_steps for a warm-up."
            )
            objections.append(Objection(field=None, message=message))
        if run.model.trains and self.warmup_steps >= run.total_steps:
            message = f"The warm-up has {self.warmup_steps} steps, and the run {run.total_steps}. Lower warmup_steps."
            objections.append(Objection(field="warmup_steps", message=message))
        if shrinking := sorted({part.kind for part in run.regularizers if defines(type(part), "prox")}):
            message = (
                f"{', '.join(shrinking)} would change the weights of 'schedule_free' after its step, and not their "
                "average. Use weight_decay or l2, or another optimizer."
            )
            objections.append(Objection(field=None, message=message))
        return objections

    @staticmethod
    def update(part: Stacked[ScheduleFree], step: Step) -> None:
        """Move y and z; x = y + (1 − 1/β)·(z − y) follows."""
        z, y, g = step.state["z"], step.w, step.g
        share, rise = averaging(step.t, part.warmup_steps)
        if part.base == "adamw":
            v = step.state["exp_avg_sq"].mul_(part.beta2).addcmul_(g, g, value=1 - part.beta2)
            g.div_((v / (1 - part.beta2**step.t)).sqrt_().add_(part.column("eps", 2)))
        g.addcmul_(y, part.column("weight_decay", 2))
        rate = step.learning_rate * rise
        y.lerp_(z, share).addcmul_(g, rate * (part.beta1 * (1 - share) - 1))
        z.addcmul_(g, rate, value=-1)

    @staticmethod
    def enter_training(part: Stacked[ScheduleFree], step: Step) -> None:
        """X to y; before the first step, z begins as the weights."""
        if step.t == 1:
            step.state["z"].copy_(step.w)
        else:
            step.w.lerp_(step.state["z"], 1 - part.beta1)

    @staticmethod
    def enter_evaluation(part: Stacked[ScheduleFree], step: Step) -> None:
        """Y to x."""
        step.w.lerp_(step.state["z"], 1 - 1 / part.beta1)


def averaging(t: int, warmup: int) -> tuple[float, float]:
    """Return c_t and η_t/η for a warm-up of so many steps."""
    rising = min(t, warmup)
    total = float(t - rising)
    if warmup:
        total += rising * (rising + 1) * (2 * rising + 1) / (6 * warmup**2)
    rise = min(1.0, t / warmup) if warmup else 1.0
    return rise**2 / total, rise
