"""Metrics that arms can be compared by, and the epoch of each run that counts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.errors import SpecRefused
from service.store.rows import Row

Floats = NDArray[np.float64]
SeriesOfRuns = Mapping[tuple[str, str], Floats]
"""Values from epoch 1 on, by run id and series."""
EMPTY: Floats = np.empty(0)
LOWER = re.compile(
    r"\.(loss|error|rmse|mae|mape|brier|ece)(_eval|_loo)?(_averaged)?\Z|\.(objective|fpr)\Z|^penalty\.|\Aepochs\Z"
)
HIGHER = re.compile(r"\.(accuracy|balanced_accuracy|f1|auc|r2)(_eval|_loo)?(_averaged)?\Z|\.tpr\Z")
NONNEGATIVE = re.compile(r"\.(loss|error|rmse|mae|mape|brier)(_eval|_loo)?(_averaged)?\Z|\A(weights\.|lr\Z|epochs\Z)")
SHARE = re.compile(
    r"\A(train|val|test)\.error|\.(accuracy|balanced_accuracy|f1|auc|ece)(_eval|_loo)?(_averaged)?\Z|\.[tf]pr\Z"
)
EPOCHS = "epochs"
"""The number of epochs trained: its value in epoch e is e. Fewer until a stop rule ends the run are better."""
AT = re.compile(r"best|last|epoch:[1-9]\d{0,8}", re.ASCII)


def lower_is_better(metric: str) -> bool:
    """Return whether lower values of a metric are better."""
    return bool(LOWER.search(metric))


def rows_of(metric: str) -> str:
    """Return the rows that a metric is measured on: ``train``, ``val`` or ``test``."""
    return metric.partition(".")[0]


def possible_range(metric: str) -> tuple[float, float]:
    """Return the least and the largest value that a series can have, as far as its name says.

    An objective may be negative, since some penalties are, and R² has no least value.
    """
    if SHARE.search(metric):
        return 0.0, 1.0
    if ".r2" in metric:
        return -math.inf, 1.0
    return (0.0 if NONNEGATIVE.search(metric) else -math.inf), math.inf


def check_metric(metric: str, pointer: str) -> None:
    """Refuse a series without a better direction.

    Raises:
        SpecRefused: Neither lower nor higher values of the metric are better.
    """
    if not LOWER.search(metric) and not HIGHER.search(metric):
        message = (
            f"Neither low nor high values of {metric!r} are better. Use a loss, an error, an accuracy, F1, AUC, "
            "a Brier score, a calibration error or R², such as val.loss."
        )
        raise SpecRefused.at(pointer, "no_direction", message)


def check_at(at: str, pointer: str) -> None:
    """Refuse an invalid epoch.

    Raises:
        SpecRefused: ``at`` is not best, last or epoch:N.
    """
    if not AT.fullmatch(at):
        message = f"Invalid epoch {at!r}. Use best, last or epoch:N, such as epoch:30."
        raise SpecRefused.at(pointer, "no_epoch", message, allowed=["best", "last", "epoch:N"])


def check_epoch_by(epoch_by: str | None, at: str, pointer: str) -> None:
    """Refuse a metric that cannot choose epochs.

    Raises:
        SpecRefused: The metric has no better direction, or ``at`` is not best.
    """
    if epoch_by is None:
        return
    check_metric(epoch_by, pointer)
    if at != "best":
        message = f"{epoch_by!r} chooses the epoch only if 'at' is best, and 'at' is {at}. Leave one of the two out."
        raise SpecRefused.at(pointer, "epoch_not_chosen", message)


@dataclass(frozen=True)
class EpochRule:
    """The epoch of each run that counts: ``best`` by a metric, ``last`` or ``epoch:N``."""

    at: str
    by: str | None = None
    """The metric whose best epoch is ``best``; None for each run's own: val.loss, or test.loss without validation."""

    @property
    def series(self) -> Sequence[str]:
        """The series that the rule reads."""
        return [] if self.by is None else [self.by]

    def epoch(self, run: Row, series_of_runs: SeriesOfRuns, metric: str) -> int:
        """Return the number of the run's epoch; 0 if it has no best epoch."""
        if self.at == "last":
            return len(series_of_runs.get((run.id, metric), EMPTY))
        if self.at != "best":
            return int(self.at.removeprefix("epoch:"))
        if self.by is None:
            return int(run.best["epoch"]) if run.best else 0
        values = series_of_runs.get((run.id, self.by), EMPTY)
        finite = np.isfinite(values)
        if not finite.any():
            return 0
        costs = np.where(finite, values if lower_is_better(self.by) else -values, np.inf)
        return int(costs.argmin()) + 1  # the first of equal ones, as run.best

    def chosen_by(self, runs: Iterable[Row]) -> str | None:
        """Return the metric that chose the epochs; test.loss if it chose those of any run. None if none was chosen."""
        if self.at != "best" or self.by is not None:
            return self.by
        return min((run.best["metric"] for run in runs if run.best), default=None)  # test.loss before val.loss

    def is_optimistic(self, runs: Iterable[Row], metric: str) -> bool:
        """Return whether epochs were chosen on the rows that ``metric`` is measured on, or on the test set."""
        chosen_by = self.chosen_by(runs)
        return chosen_by is not None and rows_of(chosen_by) in ("test", rows_of(metric))
