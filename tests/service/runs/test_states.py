"""The states of a run are those that the database knows."""

from __future__ import annotations

from service.runs.states import TERMINAL, TRANSITIONS
from service.store.statuses import ENDED, HELD, STATUSES, UNFINISHED


def test_every_status_has_its_ways_to_others_and_no_way_leads_elsewhere() -> None:
    assert tuple(TRANSITIONS) == STATUSES
    assert {then for ways in TRANSITIONS.values() for then in ways.values()} <= set(STATUSES)


def test_only_a_retry_leads_from_where_a_run_has_ended() -> None:
    over = {status for status, ways in TRANSITIONS.items() if ways.keys() <= {"retry", "wait"}}
    assert over == TERMINAL == set(ENDED)
    assert sorted(UNFINISHED + ENDED) == sorted(STATUSES)


def test_a_lease_can_be_lost_only_where_a_worker_holds_the_run() -> None:
    assert tuple(status for status, ways in TRANSITIONS.items() if "release" in ways) == HELD
