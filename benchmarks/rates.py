"""Rates of the service beside those of an MLflow tracking server, in one run, in turn; writes a dated result.

    python -m benchmarks.rates --mlflow .venv/servers/bin/mlflow

Both on SQLite, one process each, queried over one persistent connection. Measurements are recorded through the
job source, as a worker does. A whole history of five series is five reads of MLflow's, and one of ours.
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
from fitwell.local import LocalServer, free_port
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


class HTTPPeer:
    """One connection to one server."""

    def __init__(self, port: int, prefix: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._prefix = prefix

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and content of the answer."""
        content = None if body is None else json.dumps(body)
        headers_sent = {"content-type": "application/json"} if content else {}
        try:
            self._connection.request(method, self._prefix + path, content, {**headers_sent, **headers})
            answer = self._connection.getresponse()
        except ConnectionError:  # servers let go of a connection that was idle for seconds
            self._connection.close()
            self._connection.request(method, self._prefix + path, content, {**headers_sent, **headers})
            answer = self._connection.getresponse()
        content_there = answer.read()
        assert answer.status in (200, 201, 304), (answer.status, content_there[:300])
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content_there

    def json(self, method: str, path: str, body: object = None) -> Any:
        """The answer, read."""
        return json.loads(self.ask(method, path, body)[2])


class Tracker:
    """An MLflow server, and the requests that are measured."""

    def __init__(self, port: int) -> None:
        self._http = HTTPPeer(port, "/api/2.0/mlflow")
        self._experiment = self._http.json("POST", "/experiments/create", {"name": "bench"})["experiment_id"]
        self.runs: list[str] = []

    def create(self) -> None:
        body = {"experiment_id": self._experiment, "start_time": 0}
        self.runs.append(self._http.json("POST", "/runs/create", body)["run"]["info"]["run_id"])

    def record(self, number: int) -> None:
        """60 epochs of 5 series."""
        for first in (1, 31):  # a batch takes 1000 figures
            figures = [
                {"key": name, "value": 0.5, "timestamp": 1, "step": step}
                for step in range(first, first + 30)
                for name in SERIES
            ]
            self._http.json("POST", "/runs/log-batch", {"run_id": self.runs[number], "metrics": figures})

    def history(self, number: int) -> None:
        for name in SERIES:
            history = self._http.json("GET", f"/metrics/get-history?run_id={self.runs[number]}&metric_key={name}")
            assert len(history["metrics"]) == EPOCHS

    def listed(self) -> None:
        body = {"experiment_ids": [self._experiment], "max_results": LISTED}
        assert len(self._http.json("POST", "/runs/search", body)["runs"]) == LISTED


class Service:
    """Our server, likewise."""

    def __init__(self, port: int, jobs: Jobs) -> None:
        self._http, self._jobs = HTTPPeer(port), jobs
        self.runs: list[str] = []

    def create(self) -> None:
        created = self._http.json("POST", "/v1/runs?reuse=false", {**BODY, "seed": len(self.runs)})
        self.runs.append(created["id"])

    def record(self) -> None:
        """60 epochs of 5 series for the oldest run that is queued."""
        (claim,) = self._jobs.claim(WORKER, limit=1)
        self._jobs.started([claim], device="cpu", determinism_class="bench")
        figures = dict.fromkeys(SERIES, 0.5)
        for epoch in range(1, EPOCHS + 1):
            digest = f"{claim.run_id}.{epoch}"
            measurement = Measurement(
                run_id=claim.run_id, epoch=epoch, steps=9, metrics=figures, seconds=0.1, digest=digest
            )
            self._jobs.record([claim], [measurement])
        self._jobs.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded")])

    def history(self, number: int) -> None:
        history = self._http.json("GET", f"/v1/runs/{self.runs[number]}/history")
        assert len(history["epoch"]) == EPOCHS
        assert set(SERIES) <= history["series"].keys()

    def listed(self) -> None:
        assert len(self._http.json("GET", f"/v1/runs?limit={LISTED}")["data"]) == LISTED

    def tag(self, number: int) -> str:
        return self._http.ask("GET", f"/v1/runs/{self.runs[number]}/history")[1]["etag"]

    def unchanged(self, number: int, tag: str) -> None:
        status, *_ = self._http.ask("GET", f"/v1/runs/{self.runs[number]}/history", None, **{"if-none-match": tag})
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
                HTTPPeer(port).ask("GET", "/health")
                break
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


SecondsByRequest = dict[str, tuple[list[float], list[float]]]


def measure(command: str) -> SecondsByRequest:
    """Return the seconds of every call, theirs and ours, by request; for a 304, our full response and the 304."""
    seconds_by_request: SecondsByRequest = {}
    with tempfile.TemporaryDirectory(prefix="fitwell-rates-") as place:
        home = Path(place)
        settings = Settings(data_dir=home / "fitwell", lease_seconds=3600)
        stack = LocalServer(
            {"FITWELL_DATA_DIR": str(settings.home)}, host="127.0.0.1", port=free_port(), workers=0, quiet=True
        )
        stack.start()
        engine = open_engine(settings)
        try:
            with tracking_server(command, home) as port:
                theirs, ours = Tracker(port), Service(int(stack.url.rpartition(":")[2]), Jobs(engine, settings))
                for _ in range(ROUNDS):
                    one_round(theirs, ours, seconds_by_request)
        finally:
            engine.dispose()
            stack.stop()
    return seconds_by_request


def one_round(theirs: Tracker, ours: Service, seconds_by_request: SecondsByRequest) -> None:
    """Everything once more, on either side, in turn."""
    before = len(ours.runs), len(theirs.runs)
    _take(seconds_by_request, "create a run", theirs.create, ours.create, RUNS)
    for number in range(RUNS):
        theirs.record(before[1] + number)
        ours.record()
    for number in range(RUNS):
        mine, yours = partial(ours.history, before[0] + number), partial(theirs.history, before[1] + number)
        _take(seconds_by_request, "the whole history of 60 epochs, 5 series", yours, mine)
    for number in range(before[0], before[0] + RUNS):
        unchanged = partial(ours.unchanged, number, ours.tag(number))
        _take(seconds_by_request, "a 304 beside our full answer", partial(ours.history, number), unchanged)
    _take(seconds_by_request, "list 100 runs", theirs.listed, ours.listed, 20)


def _take(
    seconds_by_request: SecondsByRequest,
    what: str,
    first: Callable[[], object],
    second: Callable[[], object],
    times: int = 1,
) -> None:
    stored_seconds = seconds_by_request.setdefault(what, ([], []))
    stored_seconds[0].extend(timed(first, times))
    stored_seconds[1].extend(timed(second, times))


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
    arguments = parser.parse_args()
    version = subprocess.run(
        [arguments.mlflow, "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    seconds_by_request = measure(str(Path(arguments.mlflow).resolve()))
    lines = [
        "| what | MLflow: median, ms | 99 %, ms | Fitwell: median, ms | 99 %, ms | times as fast | goal | |",
        "|---|---|---|---|---|---|---|---|",
        *(row(what, *seconds) for what, seconds in seconds_by_request.items()),
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
