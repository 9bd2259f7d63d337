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

if TYPE_CHECKING:
    from worker.spec.run import RunSpec

Metric = Literal[
    "val.loss",
    "val.accuracy",
    "val.error",
    "val.brier",
    "val.balanced_accuracy",
    "val.f1",
    "val.auc",
    "val.r2",
    "val.rmse",
    "val.mae",
    "val.mape",
    "test.loss",
    "test.accuracy",
    "test.error",
    "test.brier",
    "test.balanced_accuracy",
    "test.f1",
    "test.auc",
    "test.r2",
    "test.rmse",
    "test.mae",
    "test.mape",
    "train.loss",
    "train.loss_eval",
    "train.objective",
]
HIGHER_IS_BETTER = frozenset({"accuracy", "balanced_accuracy", "f1", "auc", "r2"})
LOSSES = frozenset({"loss", "loss_eval", "objective"})
NEED_TWO_ROWS = frozenset({"auc", "r2"})


class EarlyStopping(Stop):
    """End the run when ``metric`` has not improved for ``patience`` epochs."""

    equation: ClassVar[str] = "stop after e if e − argmin L ≥ patience"
    reference: ClassVar[str] = "Prechelt 1998, Early stopping — but when?"

    kind: Literal["early_stopping"] = "early_stopping"
    metric: Metric = Field(default="val.loss", description="The metric that is watched, in its better direction.")
    patience: int = Field(default=10, ge=1, description="Epochs without improvement.")
    min_delta: float = Field(default=0.0, ge=0, description="How much better an improvement must be.")

    def objections(self, run: RunSpec) -> list[Objection]:
        """Refuse a metric that this run does not record, and a choice by test data that the spec does not allow."""
        part, _, what = self.metric.partition(".")
        loss = run.effective_loss
        if what not in (*LOSSES, *loss.metric_names, *loss.evaluation_names):
            target = "a class" if loss.task == "classification" else "a number"
            message = f"{self.metric} is never recorded, for the target is {target}; watch {part}.loss."
        elif part == "val" and run.dataset.validation_rows == 0:
            message = (
                f"{self.metric} is never recorded without a validation split; set dataset.validation_size above 0, "
                "or dataset.fold."
            )
        elif part == "val" and run.dataset.validation_rows == 1 and what in NEED_TWO_ROWS:
            message = (
                f"{self.metric} is undefined on one validation row; set dataset.validation_size above 1, or watch "
                "val.loss."
            )
        elif part == "test" and not run.allow_test_selection:
            message = (
                f"Stopping on {self.metric} chooses an epoch by the test data, which makes its losses too good. "
                "Watch 'val.loss', or say allow_test_selection: true."
            )
        elif part == "test" and run.evaluate.test != "every_epoch":
            message = f"{self.metric} is not recorded in every epoch; set evaluate.test to 'every_epoch'."
        elif self.metric == "train.loss_eval" and run.evaluate.train == "never":
            message = "train.loss_eval is never recorded; set evaluate.train to 'subset' or 'full'."
        else:
            return []
        return [Objection(field="metric", message=message)]

    def stopped(self, history: Mapping[str, Sequence[float | None]]) -> bool:
        """Whether the last improvement lies ``patience`` epochs back; epochs with an undefined score do not count."""
        waits = self._waits(history)
        return bool(waits) and waits[-1] >= self.patience

    def first_stop(self, history: Mapping[str, Sequence[float | None]]) -> int | None:
        """Return the first epoch after which the rule ends the run; None if none does."""
        return next((n for n, waited in enumerate(self._waits(history), 1) if waited >= self.patience), None)

    def _waits(self, history: Mapping[str, Sequence[float | None]]) -> list[int]:
        """Return after each epoch how many epochs lie behind the last improvement."""
        best, waited, waits = float("inf"), 0, list[int]()
        name = self.metric.partition(".")[2]
        sign = -1 if name in HIGHER_IS_BETTER else 1
        for value in history.get(self.metric, ()):
            if value is not None or name in LOSSES:
                improved = value is not None and sign * value < best - self.min_delta
                best, waited = (sign * value, 0) if improved and value is not None else (best, waited + 1)
            waits.append(waited)
        return waits
