"""Scores in NumPy against those that the engine records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.sandbox.predicting.scores import class_scores, number_scores
from tests.laws.strategies import data_of, parsed
from tests.worker.spec.test_graph import run_of, trained
from worker.engine.evaluation import evaluate, predictions, variance
from worker.engine.hooks import EvaluationHooks
from worker.spec.families.loss import RowTargets
from worker.spec.run import RunSpec

REGRESSION: dict[str, Any] = {
    "dataset": {"kind": "linear", "train_size": 64, "validation_size": 30},
    "model": {"kind": "linear"},
    "optimizer": {"kind": "sgd", "lr": 0.1},
}
SPECS = {
    "classes": run_of(),
    "numbers": parsed(REGRESSION),
    "huber": parsed({**REGRESSION, "loss": {"kind": "huber", "delta": 0.5}}),
}


@pytest.mark.parametrize("name", SPECS)
def test_scores_equal_those_of_the_engine(name: str) -> None:
    spec: RunSpec = SPECS[name]
    stack, data = trained(spec), data_of(spec)
    outputs = predictions(stack, data.test, EvaluationHooks(stack))[0].numpy()
    y, unit = data.test.y.numpy(), data.unit
    measured = evaluate(stack, data.test)
    implementation = stack.loss.implementation
    zero = float(spec.dataset.target_scaling(y)[1]) if name != "classes" else 0.0
    targets = RowTargets(measured.y, None, len(spec.dataset.classes), unit, zero)
    expected = {
        "loss": measured.loss,
        **implementation.metrics(measured.statistic, variance(data.test.y), unit),
        **implementation.evaluation_metrics(measured.scores, targets),
    }
    if name == "classes":
        scores = class_scores(outputs, y)
    else:
        scores = number_scores(outputs[:, 0] * unit, y.astype(np.float64) * unit, spec.effective_loss, 1 / unit)
    assert set(scores) == set(expected)
    for metric, value in expected.items():
        assert scores[metric] == pytest.approx(float(value), rel=1e-5, abs=1e-6, nan_ok=True), metric
