"""The first epoch at which a metric crosses a bound."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from service.store.rows import Row
from service.studies.crossings import first_epochs
from service.studies.measurements import Slot

NAN = float("nan")


def crossing(
    values: list[float], crosses: float, metric: str = "val.error", after: str | None = None, status: str = "succeeded",
    **others: list[float],
) -> Any:  # fmt: skip
    """Return the state and the value of a run with this series."""
    run = cast(Row, SimpleNamespace(id="run", status=status, error_code="diverged" if status == "failed" else None))
    series = {("run", name.replace("_", ".")): np.array(one) for name, one in others.items()}
    series["run", metric] = np.array(values)
    (one,) = first_epochs([Slot("arm", 0, "", run)], series, metric, crosses, after)
    return one.state, one.value


@pytest.mark.parametrize(
    ("values", "crosses", "metric", "epoch"),
    [
        ([0.9, 0.5, 0.04, 0.5], 0.05, "val.error", 3),
        ([0.9, NAN, 0.05], 0.05, "val.error", 3),
        ([0.0, 1.0], 0.05, "val.error", 1),
        ([0.9, 0.94, 0.95], 0.95, "val.accuracy", 3),
    ],
)
def test_first_epoch_reaches_the_bound(values: list[float], crosses: float, metric: str, epoch: int) -> None:
    assert crossing(values, crosses, metric) == ("measured", epoch)


def test_epoch_is_divided_by_that_of_another_metric() -> None:
    assert crossing([1, 1, 1, 1, 1, 0], 0.05, after="train.error", train_error=[1, 0, 1]) == ("measured", 3.0)
    assert crossing([1, 0], 0.05, after="train.accuracy", train_accuracy=[1, 1]) == ("measured", 2.0)


@pytest.mark.parametrize(
    ("state", "changed"),
    [
        ("diverged", {"values": [0.9, NAN]}),
        ("diverged", {"values": [0.9, 0.0], "after": "train.error", "train_error": [0.9, 0.8]}),
        ("diverged", {"values": [0.0], "status": "failed"}),
        ("missing", {"values": []}),
        ("missing", {"values": [0.0], "after": "train.error"}),
        ("missing", {"values": [0.0], "status": "cancelled"}),
        ("unfinished", {"values": [0.0], "status": "running"}),
    ],
)
def test_run_that_does_not_cross_the_bound_loses_or_is_missing(state: str, changed: dict[str, Any]) -> None:
    assert crossing(**{"crosses": 0.05, **changed})[0] == state
