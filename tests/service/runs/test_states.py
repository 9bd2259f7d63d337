"""The transition table and the statuses of the database agree."""

from __future__ import annotations

from service.runs.states import TERMINAL, TRANSITIONS
from service.store.statuses import ENDED, HELD, STATUSES, UNFINISHED


def test_every_status_has_transitions_and_each_leads_to_a_status() -> None:
    assert tuple(TRANSITIONS) == STATUSES
    assert {target for transitions in TRANSITIONS.values() for target in transitions.values()} <= set(STATUSES)


def test_only_a_retry_leaves_a_terminal_status() -> None:
    terminal = {status for status, transitions in TRANSITIONS.items() if transitions.keys() <= {"retry", "wait"}}
    assert terminal == TERMINAL == set(ENDED)
    assert sorted(UNFINISHED + ENDED) == sorted(STATUSES)


def test_only_a_run_held_by_a_worker_can_be_released() -> None:
    assert tuple(status for status, transitions in TRANSITIONS.items() if "release" in transitions) == HELD
