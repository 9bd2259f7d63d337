"""One cycle, by steps: the learning rate rises from a small one to the full one, and falls to a tiny one.

    η_i = a(η/d, η; i/p)                      i ≤ p = s·T − 1
    η_i = a(η, η/(d·f); (i − p)/(T − 1 − p))   i > p

a(x, y; u) goes from x to y along half a cosine or a straight line. ``lr`` is the largest learning rate; it may be
several times the best constant one. As ``torch.optim.lr_scheduler.OneCycleLR``, but momentum is not cycled.

Reference: Smith and Topin, 2019, "Super-convergence: very fast training of neural networks using large learning rates".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.schedule import Moment, Schedule
from worker.spec.part import Objection

if TYPE_CHECKING:
    from worker.spec.run import RunSpec


class OneCycle(Schedule):
    """Rise to the full learning rate in the first part of the run, and fall far below the first one in the rest."""

    equation: ClassVar[str] = "η/d → η in s·T steps, then η → η/(d·f), along half a cosine or a line"
    reference: ClassVar[str] = "Smith and Topin 2019, Super-convergence: very fast training of neural networks"

    kind: Literal["one_cycle"] = "one_cycle"
    pct_start: float = Field(default=0.3, gt=0, lt=1, description="s, the share of the steps in which the rate rises.")
    div_factor: float = Field(default=25.0, ge=1, le=1e9, description="d: the first step has η/d.")
    final_div_factor: float = Field(default=1e4, ge=1, le=1e9, description="f: the last step has η/(d·f).")
    anneal: Literal["cosine", "linear"] = Field(default="cosine", description="The shape of rise and fall.")

    @property
    def spans(self) -> bool:
        """The fall ends with the run."""
        return True

    @property
    def by_step(self) -> bool:
        """Every step has its own factor."""
        return True

    def factor_at(self, moment: Moment) -> float:
        """The height of the rise or the fall."""
        index, peak = moment.step - 1, self.pct_start * moment.total_steps - 1
        first = 1 / self.div_factor
        if index <= peak:
            return self._between(first, 1.0, index / peak if peak else 1.0)
        return self._between(1.0, first / self.final_div_factor, (index - peak) / (moment.total_steps - 1 - peak))

    def _between(self, start: float, end: float, done: float) -> float:
        """Return the value after a share ``done`` of the way."""
        if self.anneal == "linear":
            return (end - start) * done + start
        return end + (start - end) / 2 * (1 + math.cos(math.pi * done))

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a run that is too short for the rise."""
        steps = run.total_steps
        if not run.model.trains or self.pct_start * steps > 1:
            return ()
        message = (
            f"The rise has a share of {self.pct_start:g} of the run's {steps} steps, which is no more than one. Raise "
            "pct_start, or train for longer."
        )
        return [Objection(field="pct_start", message=message)]
