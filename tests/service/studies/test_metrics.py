"""Ranges of series by their names."""

from __future__ import annotations

from math import inf

import pytest

from service.studies.metrics import possible_range

RANGES = {
    "val.loss": (0, inf), "train.loss_eval_averaged": (0, inf), "test.rmse": (0, inf), "test.brier": (0, inf),
    "train.error_loo": (0, 1), "coefficients.error": (0, inf), "support.fpr": (0, 1), "val.accuracy": (0, 1),
    "test.balanced_accuracy_averaged": (0, 1), "test.ece": (0, 1), "val.r2": (-inf, 1), "train.objective": (-inf, inf),
    "penalty.confidence_penalty": (-inf, inf), "weights.norm": (0, inf), "lr": (0, inf), "later.ones": (-inf, inf),
}  # fmt: skip


@pytest.mark.parametrize(("metric", "limits"), RANGES.items())
def test_metric_has_the_range_of_its_name(metric: str, limits: tuple[float, float]) -> None:
    assert possible_range(metric) == limits
