"""Workers that freeze, die alone or have a wrong clock: a worker that lost a run cannot change it any more."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.faults.system import LONG, System, alive, reach, read, result_of, system, trainer_of
from tests.patience import eventually, scaled
from tests.processes import UNBROKEN_LEASE

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def test_worker_that_was_frozen_past_its_lease_writes_nothing_when_it_resumes(
    database: str | None, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    with system(tmp_path / "home", database) as under:
        under.start("service")
        under.faults.plan("worker", 0, "commit 5 after stop record")  # at once behind it, so that it holds no lock
        zombie = under.start("worker")
        run = under.submit(**LONG)
        eventually(lambda: under.faults.log)
        heir = under.start("worker")
        eventually(lambda: attempt(under, run.id) == 2)
        eventually(lambda: run.refresh().status == "running" and len(run.history.epoch) >= 15)
        assert not run.refresh().terminal
        zombie.send_signal(signal.SIGCONT)
        eventually(lambda: f"lost: {run.id}" in under.output(), 5)
        assert result_of(under.home, run.wait(scaled(120))) == undisturbed_long
        assert attempt(under, run.id) == 2
        heir.terminate()
        heir.wait(scaled(20))
        again = under.submit(**LONG)  # the frozen worker works normally again
        assert result_of(under.home, again.wait(scaled(120))) == undisturbed_long


def test_worker_that_freezes_in_a_transaction_does_not_block_others(
    postgresql_database: str, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    """Only on PostgreSQL: SQLite cannot take its lock from a process that is frozen."""
    with system(tmp_path / "home", postgresql_database) as under:
        under.start("service")
        under.faults.plan("worker", 0, "commit 5 before stop record")
        zombie = under.start("worker")
        run = under.submit(**LONG)
        eventually(lambda: under.faults.log)
        under.start("worker")
        other = under.submit()  # takes the lock that the zombie holds
        assert result_of(under.home, run.wait(scaled(120))) == undisturbed_long
        assert attempt(under, run.id) == 2
        zombie.send_signal(signal.SIGCONT)
        eventually(lambda: "leases lost" in under.output(), 10)
        assert other.wait(scaled(120)).status == "succeeded"
        assert result_of(under.home, run.refresh()) == undisturbed_long
        assert under.faults.log == [("commit", "before", "record")]


def test_training_process_of_a_killed_worker_ends_within_seconds(database: str | None, tmp_path: Path) -> None:
    with system(tmp_path / "home", database) as under:
        under.start("service")
        worker = under.start("worker")
        run = under.submit(**LONG)
        reach(run, 1)
        orphan = trainer_of(worker)
        worker.kill()
        eventually(lambda: not alive(orphan), 5)
        before = read(run)
        assert before["epoch"] == list(range(1, len(before["epoch"]) + 1))


@pytest.mark.parametrize("hours", [-1, 1])
def test_workers_clock_does_not_matter(
    hours: int, postgresql_database: str, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    """Only on PostgreSQL: with SQLite all processes are on one machine, which has one clock."""
    if FAKETIME is None:
        pytest.skip("libfaketime is not installed")
    shifted = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{hours:+d}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with system(tmp_path / "home", postgresql_database, FITWELL_LEASE_SECONDS=UNBROKEN_LEASE) as under:
        under.start("service")
        under.start("worker", **shifted)
        run = under.submit(**LONG)
        reach(run, 1)
        under.start("worker")  # which would take over what looks lost
        assert result_of(under.home, run.wait(scaled(120))) == undisturbed_long
        assert attempt(under, run.id) == 1
        (stamp,) = {line[11:13] for line in under.output().splitlines() if f"training 1 run(s): {run.id}" in line}
        assert stamp != run.refresh().created_at[11:13], "the worker's clock was another"


def attempt(under: System, run_id: str) -> int:
    return int(under.client.transport.request("GET", f"/v1/runs/{run_id}").json()["attempt"])
