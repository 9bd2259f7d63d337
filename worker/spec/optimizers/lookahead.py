"""Lookahead: another optimizer runs ahead, and slow weights follow it from time to time.

    w ← the step of the other optimizer                        in every step
    s ← s + α·(w − s),   w ← s                                  in every k-th step

s begins as the initial weights. α = 1 is the other optimizer alone; its state is left as it is.

Reference: Zhang, Lucas, Ba and Hinton, 2019, "Lookahead optimizer: k steps forward, 1 step back".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import Optimizer, Step
from worker.spec.part import Objection, PerRun, Stacked

if TYPE_CHECKING:
    from worker.spec.optimizers import AnyOptimizer
    from worker.spec.run import RunSpec


class Lookahead(Optimizer):
    """Let ``optimizer`` take ``period`` steps, then go back to a point between its weights and the earlier ones."""

    equation: ClassVar[str] = "every k steps of the optimizer inside:  s ← s + α·(w − s);  w ← s"
    reference: ClassVar[str] = "Zhang, Lucas, Ba and Hinton 2019, Lookahead optimizer: k steps forward, 1 step back"
    state: ClassVar[tuple[str, ...]] = ("slow",)

    kind: Literal["lookahead"] = "lookahead"
    optimizer: AnyOptimizer = Field(
        examples=[{"kind": "adam", "lr": 0.001}], description="The optimizer that runs ahead, with its learning rate."
    )
    period: int = Field(default=5, ge=1, le=1_000_000, description="k, the steps from one synchronization to the next.")
    alpha: PerRun[float] = Field(default=0.5, gt=0, le=1, description="α, how far the slow weights follow.")

    @property
    def state_names(self) -> tuple[str, ...]:
        """The slow weights, and the state of the optimizer inside."""
        return (*self.state, *self.optimizer.state_names)

    @property
    def multiplying(self) -> bool:
        """As the optimizer inside."""
        return self.optimizer.multiplying

    @property
    def learning_rate(self) -> float:
        """That of the optimizer inside."""
        return self.optimizer.learning_rate

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse an optimizer that averages itself, and pass on what the one inside refuses."""
        if isinstance(self.optimizer, Lookahead) or self.optimizer.averages:
            message = f"{self.optimizer.kind!r} averages weights itself; name it directly, without 'lookahead'."
            return [Objection(field="optimizer", message=message)]
        return [
            Objection(
                field=f"optimizer.{one.field}" if one.field else "optimizer", message=one.message, allowed=one.allowed
            )
            for one in self.optimizer.objections(run)
        ]

    @staticmethod
    def update(part: Stacked[Lookahead], step: Step) -> None:
        """The step of the optimizer inside, and every ``period`` steps a synchronization."""
        inner, slow = part.inner("optimizer"), step.state["slow"]
        if step.t == 1:
            slow.copy_(step.w)
        inner.implementation.update(inner, step)
        if step.t % part.period == 0:
            slow.addcmul_(step.w - slow, part.column("alpha", 2))
            step.w.copy_(slow)
