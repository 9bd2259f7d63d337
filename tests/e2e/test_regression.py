"""Targets that are numbers, through the front doors: uploaded, trained, judged, predicted, compared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, root_mean_squared_error

import fitwell
from tests.patience import scaled
from tests.processes import Serving, serving
from tests.service.datasets.upload_files import csv_text, npz

pytestmark = pytest.mark.slow
SIMPLE: dict[str, Any] = {"model": {"kind": "linear"}, "optimizer": {"kind": "sgd", "lr": 0.05}, "batch_size": "full"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("regression") / "home") as one:
        yield one


def uploaded(served: Serving, tmp_path: Path, content: bytes, **options: Any) -> fitwell.Dataset:
    file = tmp_path / "data"
    file.write_bytes(content)
    return served.client.datasets.upload(file, **options)


def test_regression_on_a_table_predicts_in_the_targets_unit(served: Serving, tmp_path: Path) -> None:
    diabetes = load_diabetes()
    rows = [[*row, target] for row, target in zip(diabetes.data.tolist(), diabetes.target.tolist(), strict=True)]
    dataset = uploaded(served, tmp_path, csv_text([*diabetes.feature_names, "progression"], rows), task="regression")
    assert (dataset.task, dataset.classes, dataset.order) == ("regression", [], "random")
    run = served.client.runs.create(dataset=dataset.spec, epochs=500, **SIMPLE).wait(scaled(60))
    count = dataset.rows_test
    response = run.predict(split="test", indices=range(count), at="last")
    predictions, targets = np.array(response.predictions, float), np.array(response.targets, float)
    assert set(targets) <= set(diabetes.target.tolist())
    assert run.last["test.rmse"] == pytest.approx(root_mean_squared_error(targets, predictions), rel=1e-5)
    assert run.last["test.r2"] == pytest.approx(r2_score(targets, predictions), rel=1e-4)
    sent = run.predict(diabetes.data[:5], at="last")
    assert (sent.targets, sent.labels, sent.probabilities) == (None, [], [])
    session = onnxruntime.InferenceSession(
        run.download("model.onnx", tmp_path, at="last").read_bytes(), providers=["CPUExecutionProvider"]
    )
    assert [one.name for one in session.get_outputs()] == ["prediction"]
    columns = dict(zip(diabetes.feature_names, diabetes.data[:5].T[:, :, None], strict=True))
    (by_hand,) = session.run(None, columns)
    np.testing.assert_allclose(by_hand[:, 0], np.array(sent.predictions, float), rtol=1e-5)
    assert 0.3 < (run.last["test.r2"] or 0) < 0.7


def series(length: int = 400, lags: int = 5) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """An autoregressive series: its last values before each time, and the value then, in the order of time."""
    rng, values = np.random.default_rng(0), [0.0, 0.0]
    for _ in range(length):
        values.append(1.6 * values[-1] - 0.7 * values[-2] + rng.normal())
    targets = np.array(values[2:])
    x = np.stack([targets[lags - 1 - k : len(targets) - 1 - k] for k in range(lags)], 1)
    return x, targets[lags:]


def test_time_series_is_validated_and_tested_on_later_rows(served: Serving, tmp_path: Path) -> None:
    x, y = series()
    dataset = uploaded(served, tmp_path, npz(x=x, y=y), order="time", test_size=80)
    assert (dataset.task, dataset.order, dataset.rows_test) == ("regression", "time", 80)
    split, optimizer = {**dataset.spec, "validation_size": 60}, {"kind": "momentum", "lr": 0.05}
    run = served.client.runs.create(dataset=split, epochs=1500, **{**SIMPLE, "optimizer": optimizer}).wait(scaled(60))
    held_out = run.predict(split="val", indices=range(60), at="last")
    np.testing.assert_allclose(held_out.targets or (), y[-140:-80])
    np.testing.assert_allclose(run.predict(split="test", indices=range(80)).targets or (), y[-80:])
    rest = run.predict(split="train", indices=range(len(y) - 140), at="last")
    assert sorted(rest.targets or ()) == sorted(y[:-140].tolist())
    theirs = LinearRegression().fit(x[:-140], y[:-140])
    np.testing.assert_allclose(np.array(held_out.predictions, float), theirs.predict(x[-140:-80]), atol=0.02)
    with pytest.raises(fitwell.BadRequest, match="what came after it"):
        served.client.runs.create(dataset={**dataset.spec, "fold": {"index": 0, "of": 5}}, **SIMPLE)
    again = uploaded(served, tmp_path, npz(x=x, y=y), test_size=80)
    assert again.id != dataset.id


def test_lags_of_a_time_series_are_a_table_in_order_of_time(served: Serving, tmp_path: Path) -> None:
    file = tmp_path / "series.csv"
    file.write_text("year,spots\n" + "".join(f"{1700 + i},{i * i}\n" for i in range(50)))
    command = [sys.executable, "examples/lags.py", str(file), "spots", "3"]
    table = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert table.splitlines()[:2] == ["lag1,lag2,lag3,next", "4,1,0,9"]
    dataset = uploaded(served, tmp_path, table.encode(), order="time", task="regression")
    assert (dataset.order, dataset.rows_train, dataset.rows_test) == ("time", 38, 9)


def test_penalties_are_compared_by_recovered_coefficients_over_paired_seeds(served: Serving) -> None:
    dataset = {"kind": "linear", "train_size": 60, "features": 40, "informative": 5, "noise": 2.0}
    study = served.client.studies.create(
        base={**SIMPLE, "dataset": dataset, "epochs": 150},
        arms={
            "plain": {},
            "l1": {"regularizers_add": [{"kind": "l1", "strength": 0.6}]},
            "l2": {"regularizers_add": [{"kind": "l2", "strength": 0.2}]},
        },
        seeds=8,
        metric="test.r2",
        at="last",
    ).wait(scaled(90))
    data = {(run.seed, run.spec["dataset"]["data_seed"]) for run in served.client.runs.list(study_id=study.id)}
    assert data == {(seed, seed) for seed in range(8)}, "each seed has data of its own, and all arms have them"
    verdicts = {pair.arm: pair.verdict for pair in study.compare().pairs}
    assert verdicts["l1"] == "better"
    chosen = {arm.id: arm.mean for arm in study.compare(metric="support.fpr").arms}
    assert (chosen["plain"], chosen["l2"]) == (1.0, 1.0)
    assert (chosen["l1"] or 1.0) < 0.7


def test_classification_metric_of_a_regression_is_refused_with_the_existing_ones(served: Serving) -> None:
    run = served.client.runs.create(dataset={"kind": "linear"}, epochs=40, **SIMPLE).wait(scaled(60))
    answer = served.client.transport
    with pytest.raises(fitwell.FitwellError, match="r2 and rmse"):
        answer.request("GET", f"/v1/runs/{run.id}/confusion")
    diagnosis = answer.request("GET", f"/v1/runs/{run.id}/diagnosis").json()
    assert diagnosis["verdict"] in ("fits", "underfits")
    with pytest.raises(fitwell.FitwellError, match="not images"):
        answer.request("GET", f"/v1/runs/{run.id}/predictions.png")
