"""``fitwell submit --fail-if`` with a real server: what is refused before training, and what fails after it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fitwell.exit_codes import Exit
from fitwell.metric_names import condition_names, metric_names
from tests import warm
from tests.patience import scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow
SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [16]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 2,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("fail_if") / "home") as server:
        yield server


def submit(served: Serving, spec: dict[str, Any], tmp_path: Path, *conditions: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(spec))
    options = [option for condition in conditions for option in ("--fail-if", condition)]
    environment = {**os.environ, "FITWELL_URL": served.client.transport.url}
    return warm.fitwell("submit", str(file), "--json", *options, env=environment, timeout=scaled(120))


SPECS: dict[str, dict[str, Any]] = {
    "classification": {},
    "penalties": {
        "regularizers": [
            {"kind": "dropout", "p": 0.2},
            {"kind": "l1", "strength": 1e-4},
            {"kind": "label_smoothing", "amount": 0.1},
        ]
    },
    "no validation": {"dataset": {"kind": "digits", "train_size": 200, "validation_size": 0}},
    "fold": {"dataset": {"kind": "digits", "train_size": 200, "fold": {"index": 0, "of": 5}}},
    "test at the end": {"evaluate": {"train": "never", "test": "last_epoch"}},
    "no test": {"evaluate": {"test": "never"}},
    "regression": {
        "dataset": {"kind": "linear"}, "model": {"kind": "linear"}, "optimizer": {"kind": "sgd", "lr": 0.01},
    },
    "classic dropout": {
        "dataset": {"kind": "linear"}, "model": {"kind": "linear"}, "optimizer": {"kind": "sgd", "lr": 0.01},
        "regularizers": [{"kind": "dropout", "p": 0.0, "input_p": 0.2, "form": "classic"}],
    },
    "kNN": {"model": {"kind": "knn"}, "optimizer": None},
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_metric_names_are_those_that_a_run_records(name: str, served: Serving) -> None:
    run = served.client.runs.create(**{**SPEC, **SPECS[name]}).wait(scaled(60))
    task = served.client.datasets.get(run.spec["dataset"]["kind"]).task
    names = metric_names(run.spec, task)
    assert names == set(run.last)
    best = set() if run.best is None else {"best.value", "best.epoch", f"best.{run.best.metric}"}
    assert condition_names(names) == names | {f"last.{one}" for one in names} | best


@pytest.mark.parametrize("condition", ["loss > 1", "best.val.los > 1", "test.rmse > 0.1", "penalty.l2 > 1"])
def test_unknown_metric_is_refused_before_anything_is_submitted(
    condition: str, served: Serving, tmp_path: Path
) -> None:
    before = [run.id for run in served.client.runs.list()]
    result = submit(served, {**SPEC, "epochs": 100_000}, tmp_path, "val.loss > 100", condition)
    assert (result.returncode, result.stdout) == (Exit.USAGE, "")
    assert "does not record" in result.stderr
    assert [run.id for run in served.client.runs.list()] == before


def test_known_metrics_of_every_task_are_accepted(served: Serving, tmp_path: Path) -> None:
    result = submit(served, {**SPEC, **SPECS["regression"]}, tmp_path, "val.r2 < -1000", "coefficients.error > 1000")
    assert (result.returncode, result.stderr) == (Exit.OK, "")
    assert json.loads(result.stdout)["status"] == "succeeded"


def test_upload_is_checked_with_its_own_task(served: Serving, tmp_path: Path) -> None:
    rows = [f"{i % 7},{i * i % 11},{i % 13}.5" for i in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,y,target", *rows]))
    dataset = served.client.datasets.upload(tmp_path / "rows.csv", target="target", task="regression")
    spec = {**SPEC, "dataset": dataset.spec, "optimizer": {"kind": "sgd", "lr": 0.001}}
    refused = submit(served, spec, tmp_path, "val.accuracy < 0.1")
    assert (refused.returncode, "does not record 'val.accuracy'" in refused.stderr) == (Exit.USAGE, True)
    assert submit(served, spec, tmp_path, "val.rmse > 1e6").returncode == Exit.OK
