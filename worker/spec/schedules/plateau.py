"""Reduction on plateaus: lower the learning rate when a metric has stopped improving.

    η_{e+1} = γ·η_e  if more than ``patience`` epochs passed without an improvement; the count begins again

An improvement is beyond ``min_delta``. Epochs in which a score is undefined do not count; one whose loss is not a
number counts as one without improvement. The factor is a function of what was recorded, so a resumed run has the same.
As ``torch.optim.lr_scheduler.ReduceLROnPlateau`` with ``threshold_mode="abs"``.

Reference: Bengio, 2012, "Practical recommendations for gradient-based training of deep architectures", section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.schedule import Moment, Schedule
from worker.spec.part import Objection
from worker.spec.watched import Measured, Metric, improvements, unrecorded

if TYPE_CHECKING:
    from worker.spec.run import RunSpec


class Plateau(Schedule):
    """Multiply the learning rate by ``gamma`` when ``metric`` has not improved for more than ``patience`` epochs."""

    equation: ClassVar[str] = "η_{e+1} = γ·η_e after more than patience epochs without improvement, else η_e"
    reference: ClassVar[str] = "Bengio 2012, Practical recommendations for gradient-based training, section 3.1"

    kind: Literal["plateau"] = "plateau"
    metric: Metric = Field(default="val.loss", description="The metric that is watched, in its better direction.")
    gamma: float = Field(default=0.1, gt=0, lt=1, description="γ, the factor of each reduction.")
    patience: int = Field(default=3, ge=0, description="Epochs without improvement that do not yet lower the rate.")
    min_delta: float = Field(default=0.0, ge=0, description="How much better an improvement must be.")
    cooldown: int = Field(default=0, ge=0, description="Epochs after a reduction in which none counts as bad.")
    final: float = Field(default=0.0, ge=0, le=1, description="The factor is never below this.")

    def factor_at(self, moment: Moment) -> float:
        """The factor after the reductions that the recorded epochs caused."""
        factor, bad, rest = 1.0, 0, 0
        for improved in improvements(self.metric, moment.history, self.min_delta):
            if improved is None:
                continue
            bad = 0 if improved else bad + 1
            if rest > 0:
                rest, bad = rest - 1, 0
            if bad > self.patience:
                factor, bad, rest = max(factor * self.gamma, self.final), 0, self.cooldown
        return factor

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a metric that this run does not record, and a patience that the run cannot exhaust."""
        if not run.model.trains:
            return ()
        use = f"A schedule that watches {self.metric} chooses learning rates"
        if (message := unrecorded(self.metric, run, use)) is not None:
            return [Objection(field="metric", message=message)]
        measured = Measured.of(self.metric, run)
        if measured.epoch(self.patience + 2) < run.epochs:
            return ()
        evaluations = max(-(-run.epochs // measured.every) - measured.first // measured.every + 1, 0)
        most = evaluations - 2
        longer = f"Train for at least {measured.epoch(2) + 1} epochs."
        remedy = f"Lower patience below {most}, or train for longer." if most > 0 else longer
        which = "epoch" if measured.every == 1 else "evaluated epoch"
        message = (
            f"After a first {which} and more than {self.patience} without improvement, none of the run's "
            f"{evaluations} is left. {remedy}"
        )
        return [Objection(field="patience", message=message)]
