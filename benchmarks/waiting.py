"""How soon a waiting client receives a change, and how 500 waiting clients affect others; writes a dated result.

    python -m benchmarks.waiting

The worker's part is played through the job source in this process, which so knows when an epoch was committed; the
waiting clients are plain sockets in a process of their own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import httpx2

from benchmarks.engine import RESULTS, machine
from fitwell.local import LocalServer, free_port
from service.settings import Settings
from service.store.database import open_engine
from service.workers.jobs import Jobs
from worker.ports import Claim, Measurement, WorkerInfo

WAITING, CHANGES, REQUESTS = 500, 60, 200
GOAL_SECONDS = 0.1
WORKER = WorkerInfo(worker_id="wrk_bench", host="here", pid=1, devices=("cpu",), details={})
BODY = {
    "dataset": {"kind": "digits"},
    "model": {"kind": "mlp", "hidden": [8]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 100_000,
}


def stream(port: int, paths: list[str], ready: Event, done: Event) -> None:
    """Hold a stream open for each path, and read what comes."""

    async def one(path: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
        await reader.readline()
        begun.append(path)
        while await reader.read(65536):
            pass

    async def all_of_them() -> None:
        tasks = [asyncio.create_task(one(path)) for path in paths]
        while len(begun) < len(paths):
            await asyncio.sleep(0.05)
        ready.set()
        while not done.is_set():
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()

    begun: list[str] = []
    asyncio.run(all_of_them())


@contextmanager
def waiting(port: int, paths: list[str]) -> Iterator[None]:
    """With so many clients that wait."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=stream, args=(port, paths, ready, done))
    process.start()
    assert ready.wait(60)
    try:
        yield
    finally:
        done.set()
        process.join()


class Bench:
    """A server with runs, one of which gets epochs."""

    def __init__(self, http: httpx2.Client, work: Jobs) -> None:
        self.http, self.work = http, work
        posted = [
            http.post("/v1/runs", json={**BODY, "seed": i, "priority": int(i == 0)}).json() for i in range(WAITING)
        ]
        self.runs = [run["id"] for run in posted]
        (self.claim,) = work.claim(WORKER, limit=1)
        work.started([self.claim], device="cpu", determinism_class="bench")
        self.epoch = 0

    def record(self) -> float:
        """Record an epoch; when it was committed."""
        self.epoch += 1
        metrics = {"train.loss": 0.5, "val.loss": 0.5, "test.loss": 0.5}
        self.work.record([self.claim], [epoch_of(self.claim, self.epoch, metrics)])
        return time.perf_counter()

    def received(self) -> list[float]:
        """How long after the commit a long poll had its answer."""
        url, late = f"/v1/runs/{self.claim.run_id}", []
        for _ in range(CHANGES):
            tag = self.http.get(url).headers["etag"]
            committed: list[float] = []
            timer = threading.Timer(0.2, lambda committed=committed: committed.append(self.record()))
            timer.start()
            self.http.get(url, headers={"if-none-match": tag, "prefer": "wait=10"}).raise_for_status()
            late.append(time.perf_counter())
            timer.join()
            late[-1] -= committed[0]
        return late

    def answers(self) -> list[float]:
        """How long reading a run takes."""
        url, seconds = f"/v1/runs/{self.runs[-1]}", []
        for _ in range(REQUESTS):
            start = time.perf_counter()
            self.http.get(url).raise_for_status()
            seconds.append(time.perf_counter() - start)
        return seconds

    @contextmanager
    def training(self, per_second: float) -> Iterator[None]:
        """While epochs are recorded."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(1 / per_second):
                self.record()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def epoch_of(claim: Claim, number: int, metrics: dict[str, float]) -> Measurement:
    digest = f"{claim.run_id}.{number}"
    return Measurement(run_id=claim.run_id, epoch=number, steps=10, metrics=metrics, seconds=0.05, digest=digest)


def summary(seconds: list[float]) -> str:
    """Median and the 99th percentile, in milliseconds."""
    return f"{statistics.median(seconds) * 1e3:.1f} | {statistics.quantiles(seconds, n=100)[98] * 1e3:.1f}"


def main() -> None:
    lines = ["| what | median, ms | 99 %, ms |", "|---|---|---|"]

    def row(what: str, measure: Callable[[], list[float]]) -> None:
        lines.append(f"| {what} | {summary(measure())} |")
        print(lines[-1], flush=True)

    with tempfile.TemporaryDirectory(prefix="fitwell-") as home:
        settings = Settings(data_dir=Path(home), lease_seconds=3600)  # the worker that is played gives no sign of life
        stack = LocalServer({"FITWELL_DATA_DIR": home}, host="127.0.0.1", port=free_port(), workers=0, quiet=True)
        stack.start()
        engine = open_engine(settings)
        try:
            with httpx2.Client(base_url=stack.url, timeout=60) as http:
                bench, port = Bench(http, Jobs(engine, settings)), int(stack.url.rpartition(":")[2])
                others = [f"/v1/runs/{run_id}/events" for run_id in bench.runs]
                same = [f"/v1/runs/{bench.claim.run_id}/events"] * WAITING
                row("reading a run, no waiting clients", bench.answers)
                row("a long poll after the change, no other waiting clients", bench.received)
                with bench.training(20):
                    row("reading a run, 20 epochs/s, no waiting clients", bench.answers)
                for where, paths in (("on runs of their own", others), ("on the run that trains", same)):
                    with waiting(port, paths):
                        row(f"reading a run, {WAITING} streams {where}", bench.answers)
                        row(f"a long poll after the change, {WAITING} streams {where}", bench.received)
                        with bench.training(20):
                            row(f"reading a run, 20 epochs/s, {WAITING} streams {where}", bench.answers)
        finally:
            engine.dispose()
            stack.stop()
    today = dt.datetime.now(dt.UTC).date().isoformat()
    hardware = ", ".join(
        f"{key} {value}" for key, value in machine("fastapi", "starlette", "uvicorn", "sqlalchemy").items()
    )
    head = [
        f"# Waiting clients, {today}",
        "",
        f"{hardware}. SQLite; {REQUESTS} readings or {CHANGES} changes each. Goal: a long poll within "
        f"{GOAL_SECONDS * 1000:.0f} ms of the change. Made by `python -m benchmarks.waiting`.",
        "",
    ]
    (RESULTS / f"{today}-waiting.md").write_text("\n".join([*head, *lines, ""]))


if __name__ == "__main__":
    main()
