"""Early stopping: end when the watched metric has not improved for a while.

    stop after epoch e  if  e − argmin_{i ≤ e} L_i ≥ patience      (an improvement counts only beyond min_delta)

L is the metric, or its negative if higher values are better, as of an accuracy. Epochs in which a score is undefined,
as an area under the curve is without two classes, do not count. An epoch whose loss is not a number counts, as one
without improvement.

Reference: Prechelt, 1998, "Early stopping — but when?".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.schedule import MAX_EPOCHS
from worker.spec.families.stop import Stop
from worker.spec.part import Objection
from worker.spec.watched import Measured, Metric, first_epoch, improvements, unrecorded

if TYPE_CHECKING:
    from worker.spec.run import RunSpec


class EarlyStopping(Stop):
    """End the run when ``metric`` has not improved for ``patience`` epochs."""

    equation: ClassVar[str] = "stop after e if e − argmin L ≥ patience"
    reference: ClassVar[str] = "Prechelt 1998, Early stopping — but when?"

    kind: Literal["early_stopping"] = "early_stopping"
    metric: Metric = Field(default="val.loss", description="The metric that is watched, in its better direction.")
    patience: int = Field(default=10, ge=1, description="Epochs without improvement, of those that measure the metric.")
    min_delta: float = Field(default=0.0, ge=0, description="How much better an improvement must be.")

    @property
    def watched(self) -> str:
        """``metric``."""
        return self.metric

    def objections(self, run: RunSpec) -> list[Objection]:
        """Refuse a metric that this run does not record, and a choice by test data that the spec does not allow."""
        message = unrecorded(self.metric, run, f"Stopping on {self.metric} chooses an epoch")
        if message is not None:
            return [Objection(field="metric", message=message)]
        message = self._never_acts(run)
        return [] if message is None else [Objection(field="patience", message=message)]

    def _never_acts(self, run: RunSpec) -> str | None:
        """Return why the rule cannot end a run that measures the metric in few epochs; None if it can.

        Of a run that measures it in every epoch, the patience may exceed the epochs, for the run can be extended.
        """
        measured = Measured.of(self.metric, run)
        epoch = measured.epoch(self.patience + 1)
        if measured == (1, 1) or epoch < run.epochs:
            return None
        often = f" every {measured.every:,} epochs" if measured.every > 1 else ""
        late = f" from epoch {measured.first:,} on" if measured.first > measured.every else ""
        return (
            f"{self.metric} is measured{often}{late}, so the rule acts after epoch {epoch:,} at the earliest, and the "
            f"run ends after {run.epochs:,}. {self._remedy(run, measured)}"
        )

    def _remedy(self, run: RunSpec, measured: Measured) -> str:
        """Return the nearest values with which the rule can act."""
        begin, epoch = first_epoch(self.metric, run), measured.epoch(self.patience + 1)
        shorter = (Measured.since(begin, every) for every in range(measured.every - 1, 0, -1))
        every = next((one.every for one in shorter if one.epoch(self.patience + 1) < run.epochs), 0)
        patience = (run.epochs - 1 - measured.first) // measured.every
        remedies = [
            *([f"epochs of at least {epoch + 1:,}"] if epoch < MAX_EPOCHS else []),
            *([f"evaluate.every of at most {every:,}"] if every > 0 else []),
            *([f"patience of at most {patience:,}"] if patience > 0 else []),
        ]
        return f"Use {', or '.join(remedies)}." if remedies else "Leave the rule out."

    def stopped(self, history: Mapping[str, Sequence[float | None]]) -> bool:
        """Whether the last improvement lies ``patience`` epochs back; epochs with an undefined score do not count."""
        waits = self._waits(history)
        return bool(waits) and waits[-1] >= self.patience

    def first_stop(self, history: Mapping[str, Sequence[float | None]]) -> int | None:
        """Return the first epoch after which the rule ends the run; None if none does."""
        return next((n for n, waited in enumerate(self._waits(history), 1) if waited >= self.patience), None)

    def _waits(self, history: Mapping[str, Sequence[float | None]]) -> list[int]:
        """Return after each epoch how many epochs lie behind the last improvement."""
        waited, waits = 0, list[int]()
        for improved in improvements(self.metric, history, self.min_delta):
            if improved is not None:
                waited = 0 if improved else waited + 1
            waits.append(waited)
        return waits
