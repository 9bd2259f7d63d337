"""Metrics that stop rules and schedules watch: which a run records, and in which epochs they improve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from worker.spec.averaging import SUFFIX

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
    "val.loss_averaged",
    "val.accuracy_averaged",
    "val.error_averaged",
    "val.brier_averaged",
    "val.balanced_accuracy_averaged",
    "val.f1_averaged",
    "val.auc_averaged",
    "val.r2_averaged",
    "val.rmse_averaged",
    "val.mae_averaged",
    "val.mape_averaged",
    "test.loss_averaged",
    "test.accuracy_averaged",
    "test.error_averaged",
    "test.brier_averaged",
    "test.balanced_accuracy_averaged",
    "test.f1_averaged",
    "test.auc_averaged",
    "test.r2_averaged",
    "test.rmse_averaged",
    "test.mae_averaged",
    "test.mape_averaged",
    "train.loss_eval_averaged",
]
HIGHER_IS_BETTER = frozenset({"accuracy", "balanced_accuracy", "f1", "auc", "r2"})
LOSSES = frozenset({"loss", "loss_eval", "objective"})
NEED_TWO_ROWS = frozenset({"auc", "r2"})


def is_evaluated(name: str) -> bool:
    """Return whether the series ``name`` is measured in evaluation mode only, every ``evaluate.every`` epochs."""
    return name.startswith(("val.", "test.")) or "_eval" in name


def first_epoch(name: str, run: RunSpec) -> int:
    """Return the first epoch with a value of the series ``name``, if every epoch is evaluated."""
    return run.averaging.first_epoch if run.averaging is not None and name.endswith(SUFFIX) else 1


class Measured(NamedTuple):
    """The epochs in which a run measures a series, whatever ends it: every ``every``-th from ``first`` on."""

    first: int
    every: int

    @classmethod
    def since(cls, epoch: int, every: int) -> Measured:
        """Return the multiples of ``every`` from ``epoch`` on."""
        return cls(-(-epoch // every) * every, every)

    @classmethod
    def of(cls, name: str, run: RunSpec) -> Measured:
        """Return the epochs in which ``run`` measures the series ``name``."""
        return cls.since(first_epoch(name, run), run.evaluate.every if is_evaluated(name) else 1)

    def epoch(self, count: int) -> int:
        """Return the epoch of the ``count``-th value."""
        return self.first + (count - 1) * self.every


def measured(history: Mapping[str, Sequence[float | None]], run: RunSpec) -> Mapping[str, Sequence[float | None]]:
    """Return the series without the epochs in which they are not measured."""
    epochs = {name: Measured.of(name, run) for name in history}
    return {name: values[epochs[name].first - 1 :: epochs[name].every] for name, values in history.items()}


def unrecorded(metric: Metric, run: RunSpec, use: str) -> str | None:
    """Return why ``run`` cannot watch ``metric``, or None if it can.

    ``use`` says what is chosen by it, as the beginning of the sentence that refuses a choice by test data.
    """
    part, _, averaged = metric.partition(".")
    name = averaged.removesuffix(SUFFIX)
    loss = run.effective_loss
    message: str | None = None
    if name != averaged and run.averaging is None:
        raw = metric.removesuffix(SUFFIX)
        message = f'{metric} is recorded only with averaging; add it, such as {{"kind": "ema"}}, or watch {raw}.'
    elif name not in (*LOSSES, *loss.metric_names, *loss.evaluation_names):
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
    elif part == "train" and name == "loss_eval" and run.evaluate.train == "never":
        message = f"{metric} is never recorded; set evaluate.train to 'subset' or 'full'."
    return message


def improvements(
    metric: Metric, history: Mapping[str, Sequence[float | None]], min_delta: float
) -> Iterator[bool | None]:
    """Yield for each epoch whether ``metric`` improved by more than ``min_delta``; None if a score is undefined."""
    best, name = float("inf"), metric.partition(".")[2].removesuffix(SUFFIX)
    sign = -1 if name in HIGHER_IS_BETTER else 1
    for value in history.get(metric, ()):
        improved = value is not None and sign * value < best - min_delta
        if improved and value is not None:
            best = sign * value
        yield None if value is None and name not in LOSSES else improved
