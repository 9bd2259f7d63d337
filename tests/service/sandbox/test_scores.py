"""Scores in NumPy against those that the engine records."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from service.sandbox.predicting.guessing import Scoring, Targets
from service.sandbox.predicting.model_cache import ModelCache
from service.sandbox.predicting.scores import class_scores, number_scores
from tests.laws.strategies import CPU, HOME, parsed
from tests.laws.test_oracles_weights import BALANCED, BODY, DATASET, VALUES, WeightedNumbers, weighted
from tests.laws.training import data_of
from tests.worker.spec.test_graph import run_of, trained
from worker.engine.baseline import baselines_of
from worker.engine.data import Data
from worker.engine.evaluation import evaluate, predictions, variance
from worker.engine.evaluator import Evaluator
from worker.engine.hooks import EvaluationHooks
from worker.spec.families.classification_loss import ClassificationLoss
from worker.spec.families.loss import Regression, RowTargets
from worker.spec.run import RunSpec

REGRESSION: dict[str, Any] = {
    "dataset": {"kind": "linear", "train_size": 64, "validation_size": 30},
    "model": {"kind": "linear"},
    "optimizer": {"kind": "sgd", "lr": 0.1},
}
SPECS = {
    "classes": run_of(),
    "focal": run_of(loss={"kind": "focal", "gamma": 1.5}),
    "numbers": parsed(REGRESSION),
    "huber": parsed({**REGRESSION, "loss": {"kind": "huber", "delta": 0.5}}),
    "absolute": parsed({**REGRESSION, "loss": {"kind": "absolute"}}),
}


@pytest.mark.parametrize("name", SPECS)
def test_scores_equal_those_of_the_engine(name: str) -> None:
    spec: RunSpec = SPECS[name]
    stack, data = trained(spec), data_of(spec)
    outputs = predictions(stack, data.test, EvaluationHooks(stack))[0].numpy()
    y, unit = data.test.y.numpy(), data.unit
    measured = evaluate(stack, data.test)
    implementation = stack.loss.implementation
    zero = float(spec.dataset.target_scaling(y)[1]) if spec.dataset.task == "regression" else 0.0
    targets = RowTargets(measured.y, None, len(spec.dataset.classes), unit, zero)
    expected = {
        "loss": measured.loss,
        **implementation.metrics(measured.statistic, variance(data.test.y), unit),
        **implementation.evaluation_metrics(measured.scores, targets),
    }
    loss = spec.effective_loss
    if isinstance(loss, ClassificationLoss):
        scores = class_scores(outputs, y, loss)
    else:
        assert isinstance(loss, Regression)
        scores = number_scores(outputs[:, 0] * unit, y.astype(np.float64) * unit, loss, 1 / unit)
    assert set(scores) == set(expected)
    for metric, value in expected.items():
        assert scores[metric] == pytest.approx(float(value), rel=1e-5, abs=1e-6, nan_ok=True), metric


def weighted_specs() -> list[Any]:
    """Return specs with every combination of weights of rows and classes, noise and sampling."""
    weights = {"plain": None, "balanced": BALANCED, "listed": {"kind": "cross_entropy", "class_weights": VALUES}}
    specs = []
    for (name, loss), rows, noise, oversample in itertools.product(
        weights.items(), (False, True), (0.0, 0.3), (False, True)
    ):
        if name != "balanced" or not oversample:
            dataset = {**DATASET, "label_noise": noise, "oversample": oversample}
            body = {**BODY, "loss": loss, "dataset": dataset}
            spec = weighted(body) if rows else parsed(body)
            specs.append(pytest.param(spec, id=f"{name}-{rows}-{noise}-{oversample}"))
    co2 = {"dataset": {"kind": "co2"}, "model": {"kind": "linear"}, "optimizer": {"kind": "sgd", "lr": 0.1}}
    losses = (None, {"kind": "huber", "delta": 0.5})
    numbers = [weighted({**REGRESSION, "loss": loss}, WeightedNumbers) for loss in losses]
    return [*specs, pytest.param(parsed(co2), id="series"), *numbers]


@pytest.mark.parametrize("spec", weighted_specs())
def test_weighted_scores_and_baselines_equal_those_of_the_engine(spec: RunSpec) -> None:
    data, stack = Data(spec.dataset, HOME, CPU), trained(spec)
    dataset, cache = spec.dataset, ModelCache(HOME, 0)
    arrays = dataset.load(HOME)
    scale, shift = (float(data.unit), data.targets[0].zero) if not dataset.classes else (1.0, 0.0)
    outputs = predictions(stack, data.test, EvaluationHooks(stack))[0].numpy()
    scoring = Scoring(spec.effective_loss, len(dataset.classes), 1 / scale, cache.training(dataset))
    rows = Targets(arrays.test_y, arrays.test_weights)
    scores = scoring.scores((outputs - shift) * scale, rows)
    baseline = scoring.baseline(rows)
    if dataset.chronological:
        baseline |= scoring.last_value(cache.last_values(dataset), rows)
    measured = {name: value[0].item() for name, value in Evaluator(stack.members[0].spec, data).evaluate(stack).items()}
    for own, engine in ((scores, measured), (baseline, baselines_of(stack, data)[0])):
        expected = {name.removeprefix("test."): value for name, value in engine.items() if name.startswith("test.")}
        assert set(own) == set(expected)
        for name, value in expected.items():
            assert own[name] == pytest.approx(value, rel=2e-4, abs=2e-6), name
