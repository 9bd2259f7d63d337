"""kill -9 of the training process, the worker and the server in mid-training: nothing recorded is lost, and the result
is, bit for bit, that of an undisturbed run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import psutil
import pytest

from fitwell import Run
from tests.faults.system import once, reach
from tests.patience import eventually, scaled
from tests.processes import Serving, free_port, serving

pytestmark = pytest.mark.slow
SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 1000},
    "model": {"kind": "mlp", "hidden": [64]},
    "regularizers": [{"kind": "dropout", "p": 0.3}, {"kind": "rotation", "degrees": 10.0}],
    "optimizer": {"kind": "adam", "lr": 0.001},
    "batch_size": 8,
    "epochs": 24,
}


def weights_of(served: Serving, run: Run) -> str:
    """SHA-256 of the final checkpoint's tensors; its header names the epoch and the digest."""
    (last,) = (served.home / "checkpoints" / run.id).glob(f"*epoch{run.progress.epochs:06d}.safetensors")
    return hashlib.sha256(last.read_bytes()).hexdigest()


def recorded(run: Run) -> dict[str, list[float | None]]:
    return {name: values for name, values in run.history.series.items() if name != "seconds"}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return once(tmp_path_factory, "undisturbed_serving", _undisturbed)


def _undisturbed(home: Path) -> dict[str, Any]:
    with serving(home) as served:
        run = served.client.runs.create(**SPEC).wait(scaled(120))
        assert run.determinism is not None
        return {"history": recorded(run), "weights": weights_of(served, run), "digest": run.determinism.digest}


@pytest.mark.parametrize(
    ("victim", "database"),
    [("trainer", "sqlite"), ("worker", "sqlite"), ("service", "sqlite"), ("worker", "postgresql")],
)
def test_run_survives_kill_9(
    victim: str, database: str, undisturbed: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    home, port = tmp_path / "home", free_port()
    url = {} if database == "sqlite" else {"FITWELL_DATABASE_URL": request.getfixturevalue("postgresql_database")}
    served = Serving(home, port, **url)
    try:
        run = served.client.runs.create(**SPEC)
        reach(run, 8)
        process, trainer = served.part(victim), served.part("trainer")
        assert process is not None
        assert trainer is not None
        before = run.history
        process.kill()
        eventually(lambda: not alive(process), 5)
        if victim == "worker":
            eventually(lambda: not alive(trainer), 5)
        if victim == "service":
            assert served.process.wait(scaled(30)) == 5, "fitwell serve ends when its service dies"
            served.stop()
            served = Serving(home, port, **url)
        run = served.client.runs.get(run.id)
        assert not run.terminal, "the kill must hit a run in training"
        after, shared = run.history, len(before.epoch)
        assert after.epoch[:shared] == before.epoch
        assert {name: values[:shared] for name, values in after.series.items()} == before.series
        run = run.wait(scaled(120))
        assert recorded(run) == undisturbed["history"]
        assert weights_of(served, run) == undisturbed["weights"]
        assert run.history.revision == 0
        assert run.determinism is not None
        assert run.determinism.digest == undisturbed["digest"]
        assert (run.model_extra or {})["attempt"] >= 2, "the fault must have happened"
        assert (home / "fitwell.db").exists() == (database == "sqlite")
    finally:
        code = served.stop()
    assert code == 0


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
