"""Load: a steady stream of submissions, many pollers, and lists of ever more runs; writes a dated result.

    python -m benchmarks.load [--seconds 60] [--most 100000]

Submissions come at their times whether or not the ones before them were answered, so that a server that falls behind
shows it. Stored runs are copies of one that was really submitted and trained through the job source.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import psutil
import sqlalchemy as sa

from benchmarks.engine import RESULTS, machine
from benchmarks.rates import BODY, WORKER, Asked, Service, timed
from fitwell.local import Stack, free_port
from service.runs.jobs import Jobs
from service.settings import Settings
from service.store.database import open_engine, writing
from service.store.tables import epoch, event, event_clock, run, series

PER_SECOND, POLLERS, ASKED = 200, 500, 200


def told(seconds: list[float]) -> str:
    """Median, 99th percentile and the longest, in milliseconds."""
    figures = (statistics.median(seconds), statistics.quantiles(seconds, n=100)[98], max(seconds))
    return " | ".join(f"{figure * 1e3:.1f}" for figure in figures)


async def submissions(url: str, seconds: int) -> tuple[list[float], Counter[str]]:
    """How long after its time each submission was answered, and what the answers were."""
    late: list[float] = []
    answers: Counter[str] = Counter()
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=httpx2.Limits(max_connections=100)) as client:

        async def one(number: int, due: float) -> None:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            answer = await client.post("/v1/runs?reuse=false", json={**BODY, "seed": number})
            late.append(time.perf_counter() - due)
            answers[str(answer.status_code)] += 1

        began = time.perf_counter() + 0.5
        await asyncio.gather(*(one(number, began + number / PER_SECOND) for number in range(PER_SECOND * seconds)))
    return late, answers


async def polls(url: str, path: str, seconds: int) -> tuple[list[float], Counter[str]]:
    """Each of many clients asks once a second with the tag that it has."""
    took: list[float] = []
    answers: Counter[str] = Counter()
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=httpx2.Limits(max_connections=100)) as client:
        tag = (await client.get(path)).headers["etag"]

        async def one(number: int) -> None:
            due = time.perf_counter() + number / POLLERS
            for _ in range(seconds):
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                began = time.perf_counter()
                answer = await client.get(path, headers={"if-none-match": tag})
                took.append(time.perf_counter() - began)
                answers[str(answer.status_code)] += 1
                due += 1

        await asyncio.gather(*(one(number) for number in range(POLLERS)))
    return took, answers


def multiply(settings: Settings, model: str, many: int) -> None:
    """Store runs like ``model``, with its epochs, until there are so many."""
    engine = open_engine(settings)
    with writing(engine) as connection:
        there: int = connection.execute(sa.select(sa.func.count()).select_from(run)).scalar_one()
        numbers = f"WITH RECURSIVE n(i) AS (SELECT {there} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {many})"
        copies = {
            run: {"id": "'run_x' || printf('%024d', i)", "created_at": "created_at + i * 0.001"},
            epoch: {"run_id": "'run_x' || printf('%024d', i)"},
            series: {"run_id": "'run_x' || printf('%024d', i)"},
        }
        for table, changed in copies.items():
            names = [column.name for column in table.c]
            picked = ", ".join(changed.get(name, f'"{name}"') for name in names)
            own = "id" if table is run else "run_id"
            listed = ", ".join(f'"{name}"' for name in names)
            chosen = f"SELECT {picked} FROM n, {table.name} WHERE {own} = :model"
            statement = f"INSERT INTO {table.name} ({listed}) {numbers} {chosen}"
            connection.execute(sa.text(statement), {"model": model})
        last: int = connection.execute(sa.select(event_clock.c.last)).scalar_one()
        columns = "(id, run_id, type, data, at)"
        made = f"SELECT {last} + 1 + i - {there}, 'run_x' || printf('%024d', i), 'run.created', '{{}}', 1.0 FROM n"
        connection.execute(sa.text(f"INSERT INTO {event.name} {columns} {numbers} {made}"))
        connection.execute(sa.update(event_clock).values(last=last + many - there))
    engine.dispose()


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60, help="of each load")
    parser.add_argument("--most", type=int, default=100_000, help="runs stored in the end")
    given = parser.parse_args()
    lines = ["| load | median, ms | 99 %, ms | longest, ms | answers |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="fitwell-load-") as place:
        settings = Settings(data_dir=Path(place), lease_seconds=3600)
        stack = Stack({"FITWELL_DATA_DIR": place}, host="127.0.0.1", port=free_port(), workers=0, quiet=True)
        stack.start()
        engine = open_engine(settings)
        try:
            ours = Service(int(stack.url.rpartition(":")[2]), Jobs(engine, settings))
            ours.create()
            ours.record()
            api = psutil.Process(stack._service.pid)  # type: ignore[union-attr]
            memory = [api.memory_info().rss]
            path = f"/v1/runs/{ours.runs[0]}"
            late, answers = asyncio.run(submissions(stack.url, given.seconds))
            lines.append(f"| {PER_SECOND} submissions/s for {given.seconds} s | {told(late)} | {dict(answers)} |")
            memory.append(api.memory_info().rss)
            took, answers = asyncio.run(polls(stack.url, path, given.seconds))
            lines.append(f"| {POLLERS} pollers with ETag for {given.seconds} s | {told(took)} | {dict(answers)} |")
            memory.append(api.memory_info().rss)
            print("\n".join(lines), [f"{one / 2**20:.0f} MiB" for one in memory], flush=True)
            sizes = scaled(settings, ours, given.most, Asked(int(stack.url.rpartition(":")[2])))
        finally:
            engine.dispose()
            stack.stop()
    today = dt.datetime.now(dt.UTC).date().isoformat()
    hardware = ", ".join(f"{key} {value}" for key, value in machine("fastapi", "uvicorn", "sqlalchemy").items())
    head = [f"# Load, {today}", "", f"{hardware}. SQLite. Made by `python -m benchmarks.load`.", ""]
    grown = " → ".join(f"{one / 2**20:.0f}" for one in memory)
    tail = ["", f"Memory of the API's process, before, after the first, after the second: {grown} MiB.", "", *sizes, ""]
    (RESULTS / f"{today}-load.md").write_text("\n".join([*head, *lines, *tail]))


def scaled(settings: Settings, ours: Service, most: int, asked: Asked) -> list[str]:
    """A table of what reading and claiming take with ever more runs."""
    lines = [
        "| runs stored | claim: 99 %, ms | list 20: 99 %, ms | list by status: 99 %, ms | history: 99 %, ms |",
        "|---|---|---|---|---|",
    ]
    engine = open_engine(settings)
    jobs = Jobs(engine, settings)
    many = 1000
    while many <= most:
        multiply(settings, ours.runs[0], many)
        calls: list[Callable[[], object]] = [
            lambda: jobs.claim(WORKER, limit=1),
            lambda: asked.ask("GET", "/v1/runs?limit=20"),
            lambda: asked.ask("GET", "/v1/runs?limit=20&status=succeeded"),
            lambda: asked.ask("GET", f"/v1/runs/{ours.runs[0]}/history"),
        ]
        figures = [f"{statistics.quantiles(timed(call, ASKED), n=100)[98] * 1e3:.1f}" for call in calls]
        lines.append(f"| {many:,} | {' | '.join(figures)} |")
        print(lines[-1], flush=True)
        many *= 10
    engine.dispose()
    return lines


if __name__ == "__main__":
    main()
