"""Cancelling takes effect immediately for queued runs, and within seconds in mid-epoch or after the worker has died."""

from __future__ import annotations

from pathlib import Path

from tests.faults.system import LONG, SPEC, reach, system
from tests.patience import eventually, scaled

ENDLESS = {
    **SPEC,
    "dataset": {"kind": "mnist1d"},
    "model": {"kind": "mlp", "hidden": [2048, 2048]},
    "batch_size": 1,
}


def test_queued_run_is_cancelled_at_once(database: str | None, tmp_path: Path) -> None:
    with system(tmp_path / "home", database) as under:
        under.start("service")
        assert under.submit().cancel().status == "cancelled"


def test_run_in_a_long_epoch_is_cancelled_within_12_seconds(database: str | None, tmp_path: Path) -> None:
    with system(tmp_path / "home", database) as under:
        under.start("service")
        under.start("worker")
        run = under.submit(**ENDLESS)
        eventually(lambda: any("trains alone" in line.text for line in run.log()))
        assert run.cancel().status == "cancelling"
        assert run.wait(scaled(12), check=False).status == "cancelled"
        assert len(run.history.epoch) <= 1, "the epoch must be longer than this"
        assert under.submit().wait(scaled(60)).status == "succeeded"


def test_run_whose_worker_is_dead_is_cancelled_within_40_seconds(database: str | None, tmp_path: Path) -> None:
    as_set = {"FITWELL_LEASE_SECONDS": "30", "FITWELL_HEARTBEAT_SECONDS": "5", "FITWELL_REAP_SECONDS": "5"}
    with system(tmp_path / "home", database, **as_set) as under:
        under.start("service")
        worker = under.start("worker")
        run = under.submit(**LONG)
        reach(run, 1)
        worker.kill()
        worker.wait()
        assert run.cancel().status == "cancelling", "no worker is left to release it"
        assert run.wait(scaled(40), check=False).status == "cancelled"
