"""Metrics that stop rules and schedules watch: which a run records, and in which epochs they improve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

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


def unrecorded(metric: Metric, run: RunSpec, use: str) -> str | None:
    """Return why ``run`` cannot watch ``metric``, or None if it can.

    ``use`` says what is chosen by it, as the beginning of the sentence that refuses a choice by test data.
    """
    part, _, name = metric.partition(".")
    loss = run.effective_loss
    message: str | None = None
    if name not in (*LOSSES, *loss.metric_names, *loss.evaluation_names):
        target = "a class" if loss.task == "classification" else "a number"
        message = f"{metric} is never recorded, for the target is {target}; watch {part}.loss."
    elif part == "val" and run.dataset.validation_rows == 0:
        message = (
            f"{metric} is never recorded without a validation split; set dataset.validation_size above 0, "
            "or dataset.fold."
        )
    elif part == "val" and run.dataset.validation_rows == 1 and name in NEED_TWO_ROWS:
        message = (
            f"{metric} is undefined on one validation row; set dataset.validation_size above 1, or watch val.loss."
        )
    elif part == "test" and not run.allow_test_selection:
        message = (
            f"{use} by the test data, which makes its losses too good. Watch 'val.loss', or say "
            "allow_test_selection: true."
        )
    elif part == "test" and run.evaluate.test != "every_epoch":
        message = f"{metric} is not recorded in every epoch; set evaluate.test to 'every_epoch'."
    elif metric == "train.loss_eval" and run.evaluate.train == "never":
        message = "train.loss_eval is never recorded; set evaluate.train to 'subset' or 'full'."
    return message


def improvements(
    metric: Metric, history: Mapping[str, Sequence[float | None]], min_delta: float
) -> Iterator[bool | None]:
    """Yield for each epoch whether ``metric`` improved by more than ``min_delta``; None if a score is undefined."""
    best, name = float("inf"), metric.partition(".")[2]
    sign = -1 if name in HIGHER_IS_BETTER else 1
    for value in history.get(metric, ()):
        improved = value is not None and sign * value < best - min_delta
        if improved and value is not None:
            best = sign * value
        yield None if value is None and name not in LOSSES else improved
