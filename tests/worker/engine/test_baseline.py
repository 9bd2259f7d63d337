"""Baselines against scikit-learn's predictors that ignore the inputs, and rows in order of time."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    r2_score,
    root_mean_squared_error,
)
from torch.nn.functional import huber_loss

from worker.engine.baseline import baselines_of
from worker.engine.data import Data
from worker.engine.outcomes import measurement
from worker.engine.recorder import EpochResult
from worker.engine.stack import Member, Stack
from worker.spec.run import RunSpec

CPU = torch.device("cpu")
BODY: dict[str, Any] = {"model": {"kind": "linear"}, "optimizer": {"kind": "sgd", "lr": 0.1}, "epochs": 1}


def baselines(dataset: dict[str, Any], *changes: dict[str, Any], home: Path = Path("/nowhere")) -> tuple[Any, Data]:
    specs = [RunSpec.of({**BODY, "dataset": dataset, **changed}) for changed in changes or ({},)]
    data = Data(specs[0].dataset, home, CPU)
    stack = Stack([Member(f"run_{i}", spec) for i, spec in enumerate(specs)], CPU)
    return baselines_of(stack, data), data


def upload(home: Path, y: Any, tested: int) -> dict[str, Any]:
    """Write an upload in order of time whose last ``tested`` rows test, and return its dataset."""
    x = np.arange(len(y), dtype=np.float32)[:, None]
    rows = slice(None, -tested), slice(-tested, None)
    content = save({f"{name}_{column}": values[part].copy() for name, part in zip(("train", "test"), rows, strict=True)
                    for column, values in (("x", x), ("y", y))})  # fmt: skip
    sha256 = hashlib.sha256(content).hexdigest()
    (home / "uploads").mkdir(exist_ok=True)
    (home / "uploads" / f"{sha256}.safetensors").write_bytes(content)
    classes = sorted({str(one) for one in y}) if y.dtype == np.int64 else []
    facts = {"task": "classification" if classes else "regression", "shape": [1], "classes": classes}
    known = {**facts, "rows_train": len(y) - tested, "rows_test": tested, "order": "time"}
    return {"kind": "uploaded", "id": f"dataset_{sha256}", "content": known, "validation_size": 20}


def test_class_frequencies_match_the_prior_of_scikit_learn() -> None:
    dataset = {"kind": "digits", "train_size": 300, "validation_size": 200, "imbalance": 20.0, "label_noise": 0.1}
    (first, second), data = baselines(dataset, {}, {"seed": 1})
    assert first == second
    dummy = DummyClassifier(strategy="prior").fit(data.raw, data.y)
    for split, y in (("train", data.y), ("val", data.validation.y), ("test", data.test.y)):
        probabilities = dummy.predict_proba(np.zeros((len(y), 1)))
        assert first[f"{split}.loss"] == pytest.approx(log_loss(y, probabilities, labels=range(10)), rel=1e-5)
        accuracy = accuracy_score(y, dummy.predict(np.zeros((len(y), 1))))
        assert (first[f"{split}.accuracy"], first[f"{split}.error"]) == pytest.approx((accuracy, 1 - accuracy))
        predicted = dummy.predict(np.zeros((len(y), 1)))
        assert first[f"{split}.balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, predicted), rel=1e-12)
        assert first[f"{split}.f1"] == pytest.approx(f1_score(y, predicted, average="macro"), rel=1e-12)
        assert first[f"{split}.auc"] == 0.5
        drawn = (probabilities[0][None] * np.eye(10)[y]).sum(1).mean()
        assert first[f"{split}.accuracy_random"] == pytest.approx(drawn)
        brier = np.square(probabilities - np.eye(10)[y]).sum(1).mean()
        ece = abs(accuracy - probabilities[0].max())
        assert (first[f"{split}.brier"], first[f"{split}.ece"]) == pytest.approx((brier, ece), rel=1e-5, abs=1e-6)


def test_class_that_the_training_rows_lack_has_a_finite_loss() -> None:
    (first,), data = baselines({"kind": "digits", "train_size": 4, "validation_size": 100})
    counts = np.bincount(data.y, minlength=10).clip(1)
    expected = -np.log(counts / counts.sum())[data.validation.y].mean()
    assert first["val.loss"] == pytest.approx(expected, rel=1e-6)


def test_mean_and_last_value_match_scikit_learn_in_the_targets_unit(tmp_path: Path) -> None:
    y = np.cumsum(np.random.default_rng(0).normal(size=120))
    losses = [{"loss": {"kind": "huber", "delta": delta}} for delta in (0.5, 2.0)]
    (first, second), data = baselines(upload(tmp_path, y, 30), *losses, home=tmp_path)
    mean = DummyRegressor().fit(np.zeros((70, 1)), y[:70]).predict(np.zeros((30, 1)))
    for predicted, suffix in ((mean, ""), (y[-31:-1], "_last_value")):
        assert first[f"test.rmse{suffix}"] == pytest.approx(root_mean_squared_error(y[-30:], predicted), rel=1e-5)
        assert first[f"test.mae{suffix}"] == pytest.approx(mean_absolute_error(y[-30:], predicted), rel=1e-5)
        relative = mean_absolute_percentage_error(y[-30:], predicted)
        assert first[f"test.mape{suffix}"] == pytest.approx(relative, rel=1e-5)
        assert first[f"test.r2{suffix}"] == pytest.approx(r2_score(y[-30:], predicted), rel=1e-5)
        residuals = torch.from_numpy((predicted - y[-30:]) / y[:70].std())
        for run, delta in ((first, 0.5), (second, 2.0)):
            expected = huber_loss(residuals, torch.zeros(30), delta=delta).item()
            assert run[f"test.loss{suffix}"] == pytest.approx(expected, rel=1e-5)
    assert first["val.rmse_last_value"] == pytest.approx(mean_squared_error(y[70:90], y[69:89]) ** 0.5, rel=1e-5)
    assert first["train.r2"] == pytest.approx(0, abs=1e-6)
    assert "train.rmse_last_value" not in first
    assert set(data.previous_y) == {"val", "test"}


def test_last_class_of_rows_in_order_of_time_has_an_accuracy(tmp_path: Path) -> None:
    y = np.repeat(np.arange(4) % 2, 30)
    (first,), _ = baselines(upload(tmp_path, y, 20), {"evaluate": {"test": "never"}}, home=tmp_path)
    assert first["val.accuracy_last_value"] == pytest.approx(np.mean(y[80:100] == y[79:99]))
    balanced = balanced_accuracy_score(y[80:100], y[79:99])
    assert first["val.balanced_accuracy_last_value"] == pytest.approx(balanced, rel=1e-12)
    assert not any(name.startswith("test.") or name == "val.loss_last_value" for name in first)


def test_r2_of_a_constant_target_and_mape_of_a_target_of_zero_are_undefined(tmp_path: Path) -> None:
    y = np.append(np.random.default_rng(0).normal(size=80), np.full(20, 5.0))
    (first,), _ = baselines(upload(tmp_path, y, 20), home=tmp_path)
    assert (first["test.r2"], first["test.r2_last_value"]) == (None, None)
    y[-10] = 0.0
    (first,), _ = baselines(upload(tmp_path, y, 20), home=tmp_path)
    assert (first["test.mape"], first["val.mape"] is None) == (None, False)
    spec = RunSpec.of({**BODY, "dataset": {"kind": "linear"}})
    stack = Stack([Member("run_0", spec)], CPU)
    metrics = {"test.r2": -np.inf, "test.loss": np.inf, "val.r2": 0.5}
    result = EpochResult(stack.members[0], 1, 1, metrics, 0.1, None, stack, 0)
    recorded = measurement(result, "digest").metrics
    assert np.isnan(recorded["test.r2"])
    assert (recorded["test.loss"], recorded["val.r2"]) == (np.inf, 0.5)
    assert metrics["test.r2"] == -np.inf, "the digest is of the metrics as they were measured"
