"""Nothing of validation rows, test rows or the future reaches what a run trains on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from sklearn.metrics import root_mean_squared_error

from service.sandbox.parsing.options import Options
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.splits import drawn
from service.sandbox.parsing.tables.columns import Column, Table
from service.sandbox.parsing.tables.datasets import write_dataset
from service.sandbox.parsing.targets import Target
from tests.laws.strategies import CPU, parsed
from tests.laws.training import train
from tests.typed_tables import LIMITS, uploaded
from worker.engine.baseline import baselines_of
from worker.engine.data import Data
from worker.engine.knn import data_for
from worker.engine.stack import Member, Stack
from worker.spec.datasets.uploaded import Uploaded
from worker.spec.models.linear import Linear
from worker.spec.rng import parted
from worker.spec.run import RunSpec

ROWS, TESTED = 120, 24
Rows = list[list[str]]


def table(task: str) -> Rows:
    """Rows of a table with missing values and every type of column; the target is last."""
    rng = np.random.default_rng(0)
    rows = [
        [
            f"{rng.normal(50, 9):.3f}" if rng.random() > 0.2 else "",
            f"{rng.lognormal(3):.2f}",
            str(rng.choice(["red", "green", "blue", ""])),
            str(rng.choice(["yes", "no"])),
            f"2024-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}",
        ]
        for _ in range(ROWS)
    ]
    targets = [str(rng.choice(["low", "high"])) if task == "classification" else f"{rng.normal():.3f}" for _ in rows]
    return [[*row, target] for row, target in zip(rows, targets, strict=True)]


def changed(rows: Rows, places: Sequence[int], task: str) -> Rows:
    """Return other inputs, and other numbers to predict, in the rows at ``places``."""
    rng = np.random.default_rng(1)
    result = [list(row) for row in rows]
    for place in places:
        target = result[place][-1] if task == "classification" else f"{rng.normal(1e4, 1e3):.1f}"
        inputs = [f"{rng.normal(-1e6, 1e5):.0f}", f"{1e9 * rng.random():.0f}", str(rng.choice(["red", "green", ""]))]
        result[place] = [*inputs, "yes", f"{rng.integers(1900, 1990)}-06-01", target]
    return result


def csv(rows: Rows) -> bytes:
    return "\n".join(["a,b,color,member,day,y", *(",".join(row) for row in rows), ""]).encode()


def run(dataset: Uploaded, **fields: Any) -> RunSpec:
    body = {
        "model": {"kind": "mlp", "hidden": [6]},
        "optimizer": {"kind": "adam", "lr": 0.01},
        "epochs": 2,
        "batch_size": 16,
    }
    return parsed({**body, "dataset": dataset.model_dump(mode="json"), **fields})


def training_series(datasets: Sequence[Uploaded], home: Path) -> list[list[tuple[float, str]]]:
    """Return the training loss of each epoch and a digest of all tensors, for a stack of runs on these datasets."""
    specs = [run(dataset) for dataset in datasets]
    trained = train(specs, data=data_for(tuple(datasets), Linear(kind="linear"), home, CPU))
    return [[(metrics["train.loss"], digest) for _, metrics, digest in epochs] for epochs in trained.values()]


def rows_that_test(rows: Rows, task: str) -> list[int]:
    """Return the places of the test rows in the file."""
    y = np.array([row[-1] for row in rows])
    classes, codes = np.unique(y, return_inverse=True) if task == "classification" else ((), y.astype(float))
    target = Target(task, codes, tuple(classes), "")  # type: ignore[arg-type]
    tests: list[int] = drawn(target, len(y), Options(test_size=TESTED)).test.tolist()
    return tests


HELD_OUT: list[dict[str, Any]] = [{"validation_size": 20}, *({"fold": {"index": i, "of": 5}} for i in (0, 4))]


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("held_out", HELD_OUT, ids=str)
def test_other_values_of_held_out_rows_leave_training_bit_for_bit(
    task: str, held_out: dict[str, Any], tmp_path: Path
) -> None:
    rows, tests = table(task), rows_that_test(table(task), task)
    before = uploaded(tmp_path, csv(rows), fields=held_out, test_size=TESTED, task=task)
    trains, _ = parted(before, before.load(tmp_path))
    in_file = np.setdiff1d(np.arange(ROWS), tests)
    others = np.setdiff1d(np.arange(ROWS), in_file[trains]).tolist()
    assert len(others) == TESTED + before.validation_rows
    after = uploaded(tmp_path, csv(changed(rows, others, task)), fields=held_out, test_size=TESTED, task=task)
    data = [Data(dataset, tmp_path, CPU) for dataset in (before, after)]
    assert data[0].raw.numpy().tobytes() == data[1].raw.numpy().tobytes()
    assert data[0].validation.x.numpy().tobytes() != data[1].validation.x.numpy().tobytes()
    assert training_series([before], tmp_path) == training_series([after], tmp_path)


def test_other_values_of_test_rows_leave_every_split_of_a_stack_bit_for_bit(tmp_path: Path) -> None:
    rows, tests = table("regression"), rows_that_test(table("regression"), "regression")
    series = []
    for version in (rows, changed(rows, tests, "regression")):
        parts = [
            uploaded(tmp_path, csv(version), fields={"split_seed": seed}, test_size=TESTED, task="regression")
            for seed in (0, 1, 2)
        ]
        series.append(training_series(parts, tmp_path))
    assert series[0] == series[1]
    assert series[0][0] != series[0][1]


steps = st.integers(1, 3)
numbers = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(0, 4), st.lists(st.integers(2, 5), max_size=2), steps)
def test_no_value_after_a_row_reaches_its_features(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject, lags: int, rolling: list[int], horizon: int
) -> None:
    """Features of row t, dates apart, depend on rows up to t − horizon."""
    if not lags and not rolling:
        lags = 1
    options = Options(order="time", lags=lags, rolling=tuple(rolling), horizon=horizon, test_size=2, task="regression")
    count = 20
    now = draw.draw(st.integers(0, count - 1))
    series = [draw.draw(st.lists(numbers, min_size=count, max_size=count, unique=True)) for _ in range(2)]
    others = [
        past[: now + 1] + draw.draw(st.lists(numbers, min_size=count - now - 1, max_size=count - now - 1))
        for past in series
    ]
    first, second = (features(tmp_path_factory.mktemp("series"), values, options) for values in (series, others))
    known = max(0, now + horizon + 1 - (count - len(first)))
    assert first[:known].tobytes() == second[:known].tobytes()


def features(home: Path, series: Sequence[Sequence[float]], options: Options) -> Any:
    """Return the stored inputs of every row of a monthly series with another column, (n, D)."""
    y, other = series
    months = np.arange(len(y)) * 31 * 86_400.0
    columns = [
        Column(name="month", type="date", values=months),
        Column(name="other", type="number", values=np.array(other)),
        Column(name="y", type="number", values=np.array(y)),
    ]
    try:
        write_dataset(Table(format="csv", columns=columns), home / "data", options, LIMITS)
    except Refused as refused:  # the targets of the second series may be constant
        assume(refused.code != "constant_target")
        raise
    tensors = load_file(home / "data")
    return np.concatenate([tensors["train_numbers"], tensors["test_numbers"]])


@pytest.mark.parametrize("horizon", [1, 3])
def test_persistence_stands_beside_a_model_of_a_series(horizon: int, tmp_path: Path) -> None:
    y = np.cumsum(np.random.default_rng(0).normal(size=100)).round(4)
    text = "\n".join(["month,y", *(f"{2000 + i // 12}-{i % 12 + 1:02},{value}" for i, value in enumerate(y)), ""])
    options: dict[str, Any] = {"order": "time", "lags": 4, "horizon": horizon, "test_size": 20}
    dataset = uploaded(tmp_path, text.encode(), fields={"validation_size": 10}, **options)
    spec, data = run(dataset), Data(dataset, tmp_path, CPU)
    (baseline,) = baselines_of(Stack([Member("run", spec)], CPU), data)
    for split, begin, end in (("test", 80, 100), ("val", 70, 80)):
        expected = root_mean_squared_error(y[begin:end], y[begin - horizon : end - horizon])
        assert baseline[f"{split}.rmse_last_value"] == pytest.approx(expected, rel=1e-5)
        assert baseline[f"{split}.rmse"] > expected
