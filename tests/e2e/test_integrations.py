"""Exports to TensorBoard and MLflow, and a search with Optuna, read back with those programs."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

import fitwell
from fitwell.exit_codes import Exit
from fitwell.exporters import mlflow
from fitwell.exporters.mlflow import Tracking
from fitwell.history import History
from tests import warm
from tests.e2e.guarded import Guarded
from tests.patience import eventually, scaled
from tests.plugins.servers import installed, server_environment
from tests.processes import free_port

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def command(guarded: Guarded, *arguments: str) -> subprocess.CompletedProcess[str]:
    return warm.fitwell(*arguments, env=guarded.environment(), timeout=scaled(120))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard", "ignore::UserWarning")
def test_tensorboard_reads_every_metric_of_every_epoch(
    guarded: Guarded, finished_run: fitwell.Run, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):  # a second export is the same line, not another one
        done = command(guarded, "export", finished_run.id, "--format", "tensorboard", "--to", str(tmp_path))
        assert done.returncode == 0, done.stderr
    read = EventAccumulator(str(tmp_path / finished_run.id))
    read.Reload()
    history = finished_run.history
    assert set(read.Tags()["scalars"]) == {"steps", *(name.replace(".", "/") for name in history.series)}
    for name, values in history.series.items():
        scalars = read.Scalars(name.replace(".", "/"))
        assert [one.step for one in scalars] == history.epoch
        assert [one.value for one in scalars] == [float(np.float32(value)) for value in values]
        assert [one.wall_time for one in scalars] == sorted(one.wall_time for one in scalars)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = installed("mlflow")
    home, port = tmp_path_factory.mktemp("mlflow"), free_port()
    line = [command, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    line += ["--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", str(home / "artifacts")]
    environment = {**server_environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(line, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)

    def ready() -> bool:
        assert process.poll() is None, (home / "log").read_text()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return httpx2.get(f"http://127.0.0.1:{port}/health", timeout=scaled(5)).status_code == 200
        except (OSError, httpx2.TransportError):
            return False

    try:
        eventually(ready, 120)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(scaled(30))


def tracked(url: str, run_id: str) -> dict[str, Any]:
    content: dict[str, Any] = httpx2.get(f"{url}/api/2.0/mlflow/runs/get", params={"run_id": run_id}).json()["run"]
    return content


def curve(url: str, run_id: str, metric: str) -> list[tuple[int, float]]:
    query = {"run_id": run_id, "metric_key": metric, "max_results": "25000"}
    values = httpx2.get(f"{url}/api/2.0/mlflow/metrics/get-history", params=query).json()["metrics"]
    return sorted((int(one.get("step", 0)), float(one["value"])) for one in values)


def test_mlflow_has_spec_labels_and_exact_metrics(guarded: Guarded, finished_run: fitwell.Run, tracker: str) -> None:
    ids = set()
    for _ in range(2):  # a second export is the same run
        target = ("--format", "mlflow", "--to", tracker, "--experiment", "tests")
        done = command(guarded, "export", finished_run.id, *target)
        assert done.returncode == 0, done.stderr
        ids.add(done.stdout.strip())
    (run_id,) = ids
    mlflow_run = tracked(tracker, run_id)
    params = {one["key"]: one["value"] for one in mlflow_run["data"]["params"]}
    tags = {one["key"]: one["value"] for one in mlflow_run["data"]["tags"]}
    assert (params["optimizer.lr"], params["regularizers.0.kind"], params["model.hidden"]) == ("0.1", "dropout", "[16]")
    assert tags["course"] == "dl"
    assert (tags["fitwell.run_id"], tags["fitwell.spec_hash"]) == (finished_run.id, finished_run.spec_hash)
    assert (mlflow_run["info"]["status"], mlflow_run["info"]["run_name"]) == ("FINISHED", "finished")
    history = finished_run.history
    for name, values in history.series.items():
        assert curve(tracker, run_id, name) == list(zip(history.epoch, values, strict=True))


def test_mlflow_accepts_long_histories_long_specs_and_nonfinite_values(finished_run: fitwell.Run, tracker: str) -> None:
    epochs = list(range(1, 1501))
    losses = [1 / epoch for epoch in epochs]
    wild = {"val.loss": {"3": "nan", "4": "inf"}}
    series: dict[str, list[float | None]] = {name: [*losses] for name in ("s0", "s1", "s2", "val.loss")}
    series["val.loss"][2:4] = [None, None]
    history = History(
        run_id="run_long", complete=True, epoch=epochs, steps=epochs, revision=0, series=series, nonfinite=wild
    )
    spec = {**finished_run.spec, "many": {f"field_{n}": "x" * 900 for n in range(130)}}
    long = finished_run.model_copy(update={"id": "run_long", "spec": spec})
    with Tracking(tracker) as tracking:
        run_id = tracking.export(long, history, experiment="tests")
    assert curve(tracker, run_id, "s2") == list(zip(epochs, losses, strict=True))
    losses_by_epoch = dict(curve(tracker, run_id, "val.loss"))
    assert (np.isnan(losses_by_epoch[3]), losses_by_epoch[4] > 1e300, losses_by_epoch[5]) == (True, True, 0.2)
    params = [one for one in tracked(tracker, run_id)["data"]["params"] if one["key"].startswith("many.")]
    assert (len(params), {len(one["value"]) for one in params}) == (130, {mlflow.MAX_PARAM_LENGTH})


def test_unreachable_mlflow_server_is_reported(guarded: Guarded, finished_run: fitwell.Run) -> None:
    done = command(guarded, "export", finished_run.id, "--format", "mlflow", "--to", "http://127.0.0.1:1")
    assert (done.returncode, "No MLflow server responds" in done.stderr) == (Exit.UNREACHABLE, True)


def test_optuna_searches_and_prunes(guarded: Guarded) -> None:
    line = [sys.executable, str(ROOT / "examples/optuna_search.py")]
    done = subprocess.run(
        line, env=guarded.environment(), capture_output=True, text=True, timeout=scaled(200), check=False
    )
    assert done.returncode == 0, done.stderr
    match = re.search(r"val\.loss (\S+) with .*; (\d+) of 12 trials were pruned", done.stdout)
    assert match is not None
    runs = guarded.client.runs.list(limit=100)
    trials = [one for one in runs if (one.name or "").startswith("trial ")]
    assert len(trials) == 12
    assert 1 <= int(match[2]) <= 11
    assert float(match[1]) == pytest.approx(min(one.best.value for one in trials if one.best), abs=1e-4)
    assert any(one.status == "cancelled" for one in trials)
