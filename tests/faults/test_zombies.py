"""Workers that stop and come back, die alone, or have another clock: whoever lost a run changes nothing of it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.faults.system import LONG, System, alive, read, result_of, system, trainer_of
from tests.patience import eventually, scaled

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def test_a_worker_that_was_stopped_past_its_lease_writes_nothing_when_it_goes_on(
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
        eventually(lambda: f"lost: {run.id}" in under.said(), 5)
        assert result_of(under.home, run.wait(scaled(120))) == undisturbed_long
        assert attempt(under, run.id) == 2
        heir.terminate()
        heir.wait(scaled(20))
        again = under.submit(**LONG)  # the zombie is a worker like any other again
        assert result_of(under.home, again.wait(scaled(120))) == undisturbed_long


def test_a_worker_that_stops_in_mid_transaction_keeps_nobody_waiting(
    postgresql_database: str, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    """SQLite has one writer at a time, and nobody to take the lock from one that sleeps."""
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
        eventually(lambda: "the leases are lost" in under.said(), 10)
        assert other.wait(scaled(120)).status == "succeeded"
        assert result_of(under.home, run.refresh()) == undisturbed_long
        assert under.faults.log == [("commit", "before", "record")]


def test_the_training_process_of_a_worker_killed_alone_is_gone_in_seconds(database: str | None, tmp_path: Path) -> None:
    with system(tmp_path / "home", database) as under:
        under.start("service")
        worker = under.start("worker")
        run = under.submit(**LONG)
        eventually(lambda: run.history.epoch)
        orphan = trainer_of(worker)
        worker.kill()
        eventually(lambda: not alive(orphan), 5)
        before = read(run)
        assert before["epoch"] == list(range(1, len(before["epoch"]) + 1))


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_workers_clock_is_nobodys_business(
    hours: int, postgresql_database: str, undisturbed_long: dict[str, Any], tmp_path: Path
) -> None:
    """With SQLite all are on one machine, which has one clock."""
    if FAKETIME is None:
        pytest.skip("there is no libfaketime")
    shifted = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{hours:+d}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with system(tmp_path / "home", postgresql_database) as under:
        under.start("service")
        under.start("worker", **shifted)
        run = under.submit(**LONG)
        eventually(lambda: run.history.epoch)
        under.start("worker")  # which would take over what looks lost
        assert result_of(under.home, run.wait(scaled(120))) == undisturbed_long
        assert attempt(under, run.id) == 1
        (stamp,) = {line[11:13] for line in under.said().splitlines() if f"training 1 run(s): {run.id}" in line}
        assert stamp != run.refresh().created_at[11:13], "the worker's clock was another"


def attempt(under: System, run_id: str) -> int:
    return int(under.client.transport.request("GET", f"/v1/runs/{run_id}").json()["attempt"])
