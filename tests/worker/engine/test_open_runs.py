"""Runs that wait for the storage, and the orders they get meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.patience import scaled
from worker.blob_store import StorageOutage
from worker.engine import open_runs
from worker.engine.open_runs import Interrupted, OpenRuns
from worker.messages import Ended, Message, Noted
from worker.ports import Outcome

OUTAGE = StorageOutage("The storage failed.")
OUTAGE.reason = "connection refused"


class Reports(list[Message]):
    """The messages that the runs sent."""

    def notes(self) -> list[tuple[tuple[str, ...], str]]:
        return [(tuple(m.note.run_ids), m.note.text) for m in self if isinstance(m, Noted)]

    def ends(self) -> dict[str, str]:
        return {o.run_id: o.status for m in self if isinstance(m, Ended) for o in m.outcomes}


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Reports:
    monkeypatch.setattr(open_runs, "STORAGE_PAUSE_SECONDS", 0.01)
    return Reports()


def test_log_notes_the_begin_and_the_end_of_a_wait_once(reports: Reports) -> None:
    runs = OpenRuns(["b", "a"], reports.append)
    for _ in range(3):
        runs.wait_out(OUTAGE)
    runs.storage_is_back()
    runs.storage_is_back()
    begin, end = reports.notes()
    assert begin == (("a", "b"), "waits until the storage can be reached again (connection refused)")
    assert end == (("a", "b"), "continues after waiting 0 s for the storage")


@pytest.mark.parametrize(("status", "end"), [("cancelled", "cancelled"), ("paused", "paused"), ("timed_out", "failed")])
def test_run_that_leaves_during_a_wait_ends_and_its_peers_wait_on(reports: Reports, status: Any, end: str) -> None:
    runs = OpenRuns(["leaver", "peer"], reports.append)
    runs.leave(["leaver"], status)
    runs.wait_out(OUTAGE)
    assert reports.ends() == {"leaver": end}
    assert runs.ids == ["peer"]
    runs.end([Outcome(run_id=run_id, status="succeeded") for run_id in ("leaver", "peer")])
    assert reports.ends() == {"leaver": end, "peer": "succeeded"}, "an end is reported once"
    assert runs.among({"leaver": 1, "peer": 2}) == {}


def test_wait_ends_when_no_run_is_left(reports: Reports) -> None:
    runs = OpenRuns(["a", "b"], reports.append)
    runs.leave(["a"], "cancelled")
    runs.leave(["b"], "lost")
    with pytest.raises(Interrupted):
        runs.wait_out(OUTAGE)
    assert reports.ends() == {"a": "cancelled"}


def test_halt_interrupts_a_wait_and_ends_no_run(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_runs, "STORAGE_PAUSE_SECONDS", scaled(60))
    runs = OpenRuns(["a"], reports.append)
    threading.Timer(0.05, runs.halt).start()
    runs.wait_out(OUTAGE)
    with pytest.raises(Interrupted):
        runs.wait_out(OUTAGE)
    assert reports.ends() == {}
