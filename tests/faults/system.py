"""A Fitwell whose processes are started separately, so that each can be killed, stopped and replaced."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import fitwell
from fitwell import Run
from tests import warm
from tests.patience import eventually, scaled
from tests.processes import fill_home, free_port

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 1.5
QUICK = {
    "FITWELL_HEARTBEAT_SECONDS": "0.3",
    "FITWELL_REAP_SECONDS": "0.2",
    "FITWELL_POLL_SECONDS": "0.1",
    "FITWELL_CHECKPOINT_SECONDS": "0",
    "FITWELL_THREADS": "1",
    "FITWELL_STACK_LIMIT": "1",
    # Many faults hit one run before an epoch is recorded, which does not mean here that the run causes them.
    "FITWELL_BARREN_ATTEMPTS": "1000",
}
SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200, "validation_size": 100},
    "model": {"kind": "mlp", "hidden": [16]},
    "regularizers": [{"kind": "dropout", "p": 0.2}],
    "optimizer": {"kind": "adam", "lr": 0.01},
    "batch_size": 32,
    "epochs": 2,
}

LONG: dict[str, Any] = {
    **SPEC,
    "dataset": {"kind": "digits", "train_size": 1000, "validation_size": 100},
    "batch_size": 8,
    "epochs": 40,
}
"""Some seconds, so that something can happen meanwhile."""


class Faults:
    """Plans of faults for the processes of a system, and the faults that happened."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory

    def plan(self, role: str, order: int, what: str) -> None:
        """Plan a fault for the next process of ``role`` (see ``injected/sitecustomize.py``)."""
        part = self.directory / f".{role}-{order:03d}"
        part.write_text(what)
        part.rename(self.directory / f"{role}-{order:03d}")

    def names(self, state: str) -> list[str]:
        """Return the plans that ``fired``, are ``taken`` by a process, or wait for a role."""
        return sorted(path.name for path in self.directory.glob(f"{state}-*"))

    @property
    def log(self) -> list[tuple[str, str, str]]:
        """Point, side and function of every fault that happened."""
        path = self.directory / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(point, side, where) for point, side, where in (line.split() for line in lines)]


class System:
    """An API and workers that share a database and a directory."""

    def __init__(self, home: Path, database: str | None, **settings: str) -> None:
        self.home, self.port, self.database = home, free_port(), database
        self.faults = Faults(home.parent / f"{home.name}-faults")
        url = {} if database is None else {"FITWELL_DATABASE_URL": database}
        self.environment = {
            **os.environ, **QUICK, "FITWELL_LEASE_SECONDS": f"{scaled(LEASE_SECONDS):.1f}",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent / "injected"), str(ROOT)]),
            **url, **settings,
            "FITWELL_DATA_DIR": str(home), "FITWELL_PORT": str(self.port),
            "FITWELL_TEST_FAULTS": str(self.faults.directory),
        }  # fmt: skip
        if database is None:
            fill_home(home)
        self.client = fitwell.Client(f"http://127.0.0.1:{self.port}")
        self.log = (home.parent / f"{home.name}.log").open("ab")
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, module: str, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a process; waits for an API until it is ready."""
        command = [sys.executable, "-P", "-m", module, *arguments]
        environment = {**self.environment, **settings}
        process = warm.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.processes.append(process)
        if module == "service":
            eventually(lambda: self.answers() or process.poll() is not None)
        return process

    def answers(self) -> bool:
        """Return whether the API is ready."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self.client.transport.request("GET", "/readyz").status_code == 200
        except (OSError, fitwell.FitwellError):
            return False

    def output(self) -> str:
        """Return everything that the processes wrote."""
        return Path(self.log.name).read_text()

    def submit(self, **changes: Any) -> Run:
        """Queue a run that is trained even if an equal one exists."""
        return self.client.runs.create(reuse=False, **{**SPEC, **changes})

    def close(self) -> None:
        """End every process."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(scaled(20))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.client.close()
        self.log.close()


def reach(run: Run, epochs: int) -> None:
    """Wait until a run has recorded so many epochs; fails when no epoch is added for too long."""
    eventually(lambda: len(run.history.epoch) >= epochs, progress=lambda: len(run.history.epoch))


def trainer_of(worker: subprocess.Popen[bytes]) -> psutil.Process:
    """Return a worker's training process; waits until it has started."""
    trainer: psutil.Process = eventually(lambda: next(iter(psutil.Process(worker.pid).children()), None))
    return trainer


def alive(process: psutil.Process) -> bool:
    """Return whether a process is running, and not a zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def system(home: Path, database: str | None, **settings: str) -> Iterator[System]:
    """Yield a system without processes; those started in the block end with it."""
    created = System(home, database, **settings)
    try:
        yield created
    finally:
        created.close()


def result_of(home: Path, run: Run) -> dict[str, Any]:
    """Return all bits of a finished run: its history without seconds, its digest, and its last checkpoint."""
    assert run.status == "succeeded", (run.status, run.error)
    assert run.determinism is not None
    assert run.history.epoch == list(range(1, run.progress.epochs + 1))
    files = (home / "checkpoints" / run.id).glob(f"*epoch{run.progress.epochs:06d}.safetensors")
    (weights,) = {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}  # whichever attempt wrote them
    return {
        "history": {name: values for name, values in run.history.series.items() if name != "seconds"},
        "revision": run.history.revision,
        "digest": run.determinism.digest,
        "weights": weights,
    }


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Return what ``make`` returns for a new home, computed once for all parallel test processes."""
    shared = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    stored = shared / f"{name}.json"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stored.exists():
            stored.write_text(json.dumps(make(factory.mktemp(name) / "home")))
    result: dict[str, Any] = json.loads(stored.read_text())
    return result


def read(run: Run) -> Mapping[str, Sequence[float | None]]:
    """Return the recorded history of a run."""
    return {"epoch": run.history.epoch, **run.history.series}
