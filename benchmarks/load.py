"""Load: a stream of submissions, many pollers, many workers, ever more stored runs, memory; writes a dated result.

    python -m benchmarks.load [--seconds 60] [--most 1000000] [--minutes 10]

Requests come at their times whether or not those before them were answered, so a server that falls behind shows it:
what is measured is from when a request was due to its answer. The clients run beside the server on the same
processors. The workers of the third part are simulated: they claim, and record made-up epochs, through the job source
that real ones use, on PostgreSQL. Stored runs are copies of one that was submitted and recorded.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from benchmarks import crowd, grown
from benchmarks.engine import RESULTS, machine
from benchmarks.rates import BODY, HTTPPeer, Service
from fitwell.local import LocalServer, free_port
from service.settings import Settings
from service.store.database import open_engine
from service.workers.jobs import Jobs

SUBMISSIONS, POLLERS = 200, 500
"""Submissions per second; pollers, each with one request per second."""
MIXED = {"submit": 5, "poll": 40, "list": 2, "history": 10}
"""Requests per second while memory is measured."""


@dataclass(frozen=True)
class Loaded:
    """A server without workers, under load."""

    url: str
    settings: Settings
    ours: Service
    process: psutil.Process

    @property
    def megabytes(self) -> float:
        """Resident memory of the server's process, in MB."""
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def server(home: Path) -> Iterator[Loaded]:
    """A server on SQLite, with one run that has 60 epochs."""
    settings = Settings(data_dir=home, lease_seconds=3600)
    stack = LocalServer({"FITWELL_DATA_DIR": str(home)}, host="127.0.0.1", port=free_port(), workers=0, quiet=True)
    stack.start()
    engine = open_engine(settings)
    try:
        ours = Service(int(stack.url.rpartition(":")[2]), Jobs(engine, settings))
        ours.create()
        ours.record()
        (process,) = [one for one in psutil.Process().children() if "service" in one.cmdline()]
        yield Loaded(stack.url, settings, ours, process)
    finally:
        engine.dispose()
        stack.stop()


Ask = Callable[[httpx2.AsyncClient, int], Awaitable[httpx2.Response]]


async def steadily(url: str, ask: Ask, *, per_second: float, seconds: float) -> tuple[list[float], Counter[str]]:
    """Ask so often for so long; how long after its time each was answered, and what the answers were."""
    late: list[float] = []
    answers: Counter[str] = Counter()
    limits = httpx2.Limits(max_connections=100)
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=limits) as client, asyncio.TaskGroup() as group:
        began = time.perf_counter() + 0.5

        async def one(number: int, due: float) -> None:
            try:
                answers[str((await ask(client, number)).status_code)] += 1
            except httpx2.HTTPError as error:
                answers[type(error).__name__] += 1
            late.append(time.perf_counter() - due)

        for number in range(round(per_second * seconds)):
            due = began + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, due))
    return late, answers


def summary(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and the longest, in milliseconds."""
    figures = (statistics.median(seconds), statistics.quantiles(seconds, n=100)[98], max(seconds))
    return " | ".join(f"{figure * 1e3:.1f}" for figure in figures)


def submission(client: httpx2.AsyncClient, number: int) -> Awaitable[httpx2.Response]:
    """A run like no other."""
    return client.post("/v1/runs?reuse=false", json={**BODY, "seed": number})


def poll(path: str, tag: str) -> Ask:
    """Ask with the tag that is known."""
    return lambda client, _: client.get(path, headers={"if-none-match": tag})


def loads(loaded: Loaded, seconds: int) -> Iterator[str]:
    """Lines of the first table."""
    yield "| load | median, ms | 99 %, ms | longest, ms | answers | memory of the server, MB |"
    yield "|---|---|---|---|---|---|"
    path = f"/v1/runs/{loaded.ours.runs[0]}"
    tag = httpx2.get(loaded.url + path).headers["etag"]
    parts: dict[str, tuple[Ask, float]] = {
        f"{SUBMISSIONS} submissions/s": (submission, SUBMISSIONS),
        f"{POLLERS} pollers, each once a second, with ETag": (poll(path, tag), POLLERS),
    }
    for name, (ask, per_second) in parts.items():
        late, answers = asyncio.run(steadily(loaded.url, ask, per_second=per_second, seconds=seconds))
        counted = ", ".join(f"{count:,} × {answer}" for answer, count in sorted(answers.items()))
        yield f"| {name}, for {seconds} s | {summary(late)} | {counted} | {loaded.megabytes:.0f} |"


def remembered(loaded: Loaded, minutes: float) -> Iterator[str]:
    """Lines of a table of memory under mixed load."""
    path = f"/v1/runs/{loaded.ours.runs[0]}"
    tag = httpx2.get(loaded.url + path).headers["etag"]
    kinds: dict[str, Ask] = {
        "submit": submission,
        "poll": poll(path, tag),
        "list": lambda client, _: client.get("/v1/runs?limit=100"),
        "history": lambda client, _: client.get(f"{path}/history"),
    }
    observed: list[tuple[float, float]] = []

    async def watch(began: float) -> None:
        while True:
            observed.append((time.perf_counter() - began, loaded.megabytes))
            await asyncio.sleep(5)

    async def all_of_it() -> Counter[str]:
        watching = asyncio.create_task(watch(time.perf_counter()))
        requested = [
            steadily(loaded.url, ask, per_second=MIXED[kind], seconds=minutes * 60) for kind, ask in kinds.items()
        ]
        answered = await asyncio.gather(*requested)
        watching.cancel()
        return sum((answers for _, answers in answered), Counter())

    answers = asyncio.run(all_of_it())
    times, sizes = zip(*observed, strict=True)
    half = len(observed) // 2
    slope = statistics.linear_regression(times[half:], sizes[half:]).slope * 60
    marks = [
        min(range(len(times)), key=lambda i: abs(times[i] - share * times[-1])) for share in (0, 0.1, 0.25, 0.5, 1)
    ]
    yield f"| {' | '.join(f'{times[i] / 60:.1f} min' for i in marks)} | MB a minute in the second half | answers |"
    yield "|---|---|---|---|---|---|---|"
    counted = ", ".join(f"{count:,} × {answer}" for answer, count in sorted(answers.items()))
    yield f"| {' | '.join(f'{sizes[i]:.0f} MB' for i in marks)} | {slope:+.2f} | {counted} |"


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60, help="of each load")
    parser.add_argument("--most", type=int, default=1_000_000, help="runs stored in the end")
    parser.add_argument("--minutes", type=float, default=10, help="of watching memory")
    arguments = parser.parse_args()
    today = dt.datetime.now(dt.UTC).date().isoformat()
    hardware = ", ".join(f"{key} {value}" for key, value in machine("fastapi", "uvicorn", "sqlalchemy").items())
    lines = [f"# Load, {today}", "", f"{hardware}. Made by `python -m benchmarks.load`.", ""]

    def tell(heading: str, table: Iterator[str]) -> None:
        lines.extend(["", f"## {heading}", ""])
        for line in table:
            print(line, flush=True)
            lines.append(line)
        (RESULTS / f"{today}-load.md").write_text("\n".join([*lines, ""]))

    with tempfile.TemporaryDirectory(prefix="fitwell-load-") as place:
        tell("Workers, on PostgreSQL", crowd.table(Path(place), arguments.seconds))
        with server(Path(place, "loads")) as loaded:
            tell("Requests, on SQLite", loads(loaded, arguments.seconds))
        with server(Path(place, "memory")) as loaded:
            mixed = ", ".join(f"{many} {kind}" for kind, many in MIXED.items())
            tell(f"Memory of the server at {mixed} a second", remembered(loaded, arguments.minutes))
        with server(Path(place, "grown")) as loaded:
            requested = HTTPPeer(int(loaded.url.rpartition(":")[2]))
            tell("Ever more runs, on SQLite", grown.table(loaded.settings, loaded.ours, requested, arguments.most))


if __name__ == "__main__":
    main()
