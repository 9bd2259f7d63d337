"""Rates of the service beside those of an MLflow tracking server, in one run, in turn; writes a dated result.

    python -m benchmarks.rates --mlflow .venv/servers/bin/mlflow

Both on SQLite, one process each, asked over one connection that is kept. What a worker records is recorded through the
job source. A whole history of five series is five reads of MLflow's, and one of ours.
"""

from __future__ import annotations

import argparse
import datetime as dt
import http.client
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.engine import RESULTS, machine
from fitwell.local import Stack, free_port
from service.settings import Settings
from service.store.database import open_engine
from service.workers.jobs import Jobs
from worker.ports import Measurement, Outcome, WorkerInfo

ROUNDS, RUNS, LISTED, EPOCHS = 5, 100, 100, 60
SERIES = ("train.loss", "val.loss", "test.loss", "test.accuracy", "lr")
GOALS = {"create a run": 3.0, "the whole history of 60 epochs, 5 series": 5.0, "list 100 runs": 3.0}
"""How many times as fast as MLflow, at least."""
GOAL_304 = 3.0
WORKER = WorkerInfo(worker_id="wrk_bench", host="here", pid=1, devices=("cpu",), details={})
BODY = {
    "dataset": {"kind": "digits"},
    "model": {"kind": "mlp", "hidden": [8]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": EPOCHS,
}


class Asked:
    """One connection to one server."""

    def __init__(self, port: int, prefix: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._prefix = prefix

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and content of the answer."""
        content = None if body is None else json.dumps(body)
        told = {"content-type": "application/json"} if content else {}
        try:
            self._connection.request(method, self._prefix + path, content, {**told, **headers})
            answer = self._connection.getresponse()
        except ConnectionError:  # servers let go of a connection that was idle for seconds
            self._connection.close()
            self._connection.request(method, self._prefix + path, content, {**told, **headers})
            answer = self._connection.getresponse()
        content_there = answer.read()
        assert answer.status in (200, 201, 304), (answer.status, content_there[:300])
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content_there

    def json(self, method: str, path: str, body: object = None) -> Any:
        """The answer, read."""
        return json.loads(self.ask(method, path, body)[2])


class Tracker:
    """An MLflow server, and what it is asked for."""

    def __init__(self, port: int) -> None:
        self._asked = Asked(port, "/api/2.0/mlflow")
        self._experiment = self._asked.json("POST", "/experiments/create", {"name": "bench"})["experiment_id"]
        self.runs: list[str] = []

    def create(self) -> None:
        body = {"experiment_id": self._experiment, "start_time": 0}
        self.runs.append(self._asked.json("POST", "/runs/create", body)["run"]["info"]["run_id"])

    def record(self, number: int) -> None:
        """60 epochs of 5 series."""
        for first in (1, 31):  # a batch takes 1000 figures
            figures = [
                {"key": name, "value": 0.5, "timestamp": 1, "step": step}
                for step in range(first, first + 30)
                for name in SERIES
            ]
            self._asked.json("POST", "/runs/log-batch", {"run_id": self.runs[number], "metrics": figures})

    def history(self, number: int) -> None:
        for name in SERIES:
            found = self._asked.json("GET", f"/metrics/get-history?run_id={self.runs[number]}&metric_key={name}")
            assert len(found["metrics"]) == EPOCHS

    def listed(self) -> None:
        body = {"experiment_ids": [self._experiment], "max_results": LISTED}
        assert len(self._asked.json("POST", "/runs/search", body)["runs"]) == LISTED


class Service:
    """Our server, likewise."""

    def __init__(self, port: int, jobs: Jobs) -> None:
        self._asked, self._jobs = Asked(port), jobs
        self.runs: list[str] = []

    def create(self) -> None:
        made = self._asked.json("POST", "/v1/runs?reuse=false", {**BODY, "seed": len(self.runs)})
        self.runs.append(made["id"])

    def record(self) -> None:
        """60 epochs of 5 series for the oldest run that is queued."""
        (claim,) = self._jobs.claim(WORKER, limit=1)
        self._jobs.started([claim], device="cpu", determinism_class="bench")
        figures = dict.fromkeys(SERIES, 0.5)
        for epoch in range(1, EPOCHS + 1):
            digest = f"{claim.run_id}.{epoch}"
            told = Measurement(run_id=claim.run_id, epoch=epoch, steps=9, metrics=figures, seconds=0.1, digest=digest)
            self._jobs.record([claim], [told])
        self._jobs.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded")])

    def history(self, number: int) -> None:
        found = self._asked.json("GET", f"/v1/runs/{self.runs[number]}/history")
        assert len(found["epoch"]) == EPOCHS
        assert set(SERIES) <= found["series"].keys()

    def listed(self) -> None:
        assert len(self._asked.json("GET", f"/v1/runs?limit={LISTED}")["data"]) == LISTED

    def tag(self, number: int) -> str:
        return self._asked.ask("GET", f"/v1/runs/{self.runs[number]}/history")[1]["etag"]

    def unchanged(self, number: int, tag: str) -> None:
        status, *_ = self._asked.ask("GET", f"/v1/runs/{self.runs[number]}/history", None, **{"if-none-match": tag})
        assert status == 304


def timed(call: Callable[[], object], times: int) -> list[float]:
    """Seconds of each call."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


@contextmanager
def tracking_server(command: str, home: Path) -> Iterator[int]:
    """The port of an MLflow server with one worker."""
    port = free_port()
    line = [command, "server", "--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--host", "127.0.0.1"]
    line += ["--port", str(port), "--workers", "1", "--default-artifact-root", str(home / "artifacts")]
    process = subprocess.Popen(line, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            assert process.poll() is None, "the MLflow server ended"
            with suppress(OSError):
                Asked(port).ask("GET", "/health")
                break
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


Found = dict[str, tuple[list[float], list[float]]]


def measure(command: str) -> Found:
    """Seconds of every call, theirs and ours, by what was asked; for a 304, our full answer and the 304."""
    found: Found = {}
    with tempfile.TemporaryDirectory(prefix="fitwell-rates-") as place:
        home = Path(place)
        settings = Settings(data_dir=home / "fitwell", lease_seconds=3600)
        stack = Stack(
            {"FITWELL_DATA_DIR": str(settings.home)}, host="127.0.0.1", port=free_port(), workers=0, quiet=True
        )
        stack.start()
        engine = open_engine(settings)
        try:
            with tracking_server(command, home) as port:
                theirs, ours = Tracker(port), Service(int(stack.url.rpartition(":")[2]), Jobs(engine, settings))
                for _ in range(ROUNDS):
                    one_round(theirs, ours, found)
        finally:
            engine.dispose()
            stack.stop()
    return found


def one_round(theirs: Tracker, ours: Service, found: Found) -> None:
    """Everything once more, on either side, in turn."""
    before = len(ours.runs), len(theirs.runs)
    _take(found, "create a run", theirs.create, ours.create, RUNS)
    for number in range(RUNS):
        theirs.record(before[1] + number)
        ours.record()
    for number in range(RUNS):
        mine, yours = partial(ours.history, before[0] + number), partial(theirs.history, before[1] + number)
        _take(found, "the whole history of 60 epochs, 5 series", yours, mine)
    for number in range(before[0], before[0] + RUNS):
        unchanged = partial(ours.unchanged, number, ours.tag(number))
        _take(found, "a 304 beside our full answer", partial(ours.history, number), unchanged)
    _take(found, "list 100 runs", theirs.listed, ours.listed, 20)


def _take(found: Found, what: str, first: Callable[[], object], second: Callable[[], object], times: int = 1) -> None:
    kept = found.setdefault(what, ([], []))
    kept[0].extend(timed(first, times))
    kept[1].extend(timed(second, times))


def row(what: str, first: list[float], second: list[float]) -> str:
    """A line of the table: medians, the 99th percentiles, and how many times as fast the second is, by medians."""
    goal = GOALS.get(what, GOAL_304)
    ratio = statistics.median(first) / statistics.median(second)
    cells = [
        f"{statistics.median(one) * 1e3:.2f} | {statistics.quantiles(one, n=100)[98] * 1e3:.2f}"
        for one in (first, second)
    ]
    return f"| {what} | {' | '.join(cells)} | {ratio:.1f} | {goal:g} | {'met' if ratio >= goal else 'not met'} |"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mlflow", default=".venv/servers/bin/mlflow", help="the command of MLflow")
    given = parser.parse_args()
    version = subprocess.run([given.mlflow, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    found = measure(str(Path(given.mlflow).resolve()))
    lines = [
        "| what | MLflow: median, ms | 99 %, ms | Fitwell: median, ms | 99 %, ms | times as fast | goal | |",
        "|---|---|---|---|---|---|---|---|",
        *(row(what, *seconds) for what, seconds in found.items()),
    ]
    print("\n".join(lines))
    today = dt.datetime.now(dt.UTC).date().isoformat()
    hardware = ", ".join(f"{key} {value}" for key, value in machine("fastapi", "uvicorn", "sqlalchemy").items())
    head = [
        f"# Rates beside MLflow {version}, {today}",
        "",
        f"{hardware}. Both on SQLite, one process and one kept connection each; {ROUNDS} rounds in turn. In the line "
        "of the 304 the first two figures are our own full answer. Made by `python -m benchmarks.rates`.",
        "",
    ]
    (RESULTS / f"{today}-rates.md").write_text("\n".join([*head, *lines, ""]))


if __name__ == "__main__":
    main()
