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

from worker.spec.families.stop import Stop
from worker.spec.part import Objection
from worker.spec.watched import Metric, improvements, unrecorded

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
        return [] if message is None else [Objection(field="metric", message=message)]

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
