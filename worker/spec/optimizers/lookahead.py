"""Lookahead: another optimizer runs ahead, and slow weights follow it from time to time.

    w ← the step of the other optimizer                        in every step
    s ← s + α·(w − s),   w ← s                                  in every k-th step

s begins as the initial weights. α = 1 is the other optimizer alone; its state is left as it is.

Reference: Zhang, Lucas, Ba and Hinton, 2019, "Lookahead optimizer: k steps forward, 1 step back".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import Step, WrappingOptimizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from worker.spec.optimizers import AnyOptimizer


class Lookahead(WrappingOptimizer):
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
