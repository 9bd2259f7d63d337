"""The states of a run and all transitions between them. No other module decides which state follows."""

from __future__ import annotations

from typing import Literal

from service.store.statuses import ENDED, Status

__all__ = [
    "CLIENT_ACTIONS",
    "TERMINAL",
    "TRANSITIONS",
    "Action",
    "Status",
    "after",
    "allowed",
    "ending",
    "leading",
    "offered",
]

Action = Literal[
    "ready", "claim", "cancel", "pause", "resume", "retry", "wait", "succeed", "fail", "stop", "release", "give_up"
]

TRANSITIONS: dict[Status, dict[Action, Status]] = {
    "waiting": {"ready": "queued", "cancel": "cancelled", "fail": "failed"},
    "queued": {"claim": "running", "cancel": "cancelled", "fail": "failed"},
    "running": {
        "cancel": "cancelling",
        "pause": "pausing",
        "succeed": "succeeded",
        "fail": "failed",
        "release": "queued",
        "give_up": "failed",
    },
    "pausing": {
        "cancel": "cancelling",
        "succeed": "succeeded",
        "fail": "failed",
        "stop": "paused",
        "release": "paused",
        "give_up": "paused",
    },
    "paused": {"resume": "queued", "cancel": "cancelled"},
    # A run that is being cancelled ends as cancelled, whatever its worker reports.
    "cancelling": {
        "succeed": "cancelled",
        "fail": "cancelled",
        "stop": "cancelled",
        "release": "cancelled",
        "give_up": "cancelled",
    },
    "succeeded": {},
    "failed": {"retry": "queued", "wait": "waiting"},
    "cancelled": {"retry": "queued", "wait": "waiting"},
}
"""``stop``: the worker stopped on request. ``release``: the worker returned the run, or its lease expired. ``give_up``:
too many leases expired. ``wait``: a retry of a run whose teachers, or the run whose weights it starts from, have not
finished. ``ready``: they have succeeded."""

TERMINAL: frozenset[Status] = frozenset(ENDED)

CLIENT_ACTIONS: tuple[Action, ...] = ("cancel", "pause", "resume", "retry")

REPEATED_ERRORS = frozenset({"diverged", "unknown_tokens"})
"""Errors that follow from the spec and the data, so that training again ends with them again."""


def after(status: Status, action: Action) -> Status | None:
    """Return the status that ``action`` leads to; None if it is not allowed."""
    return TRANSITIONS[status].get(action)


def allowed(status: Status) -> tuple[Action, ...]:
    """Return the actions that a client may apply to a run in ``status``."""
    return tuple(action for action in CLIENT_ACTIONS if action in TRANSITIONS[status])


def offered(status: Status, *, error_code: str | None, determinism_class: str | None) -> tuple[Action, ...]:
    """Return the allowed actions that a page offers: not a retry that repeats the failure bit by bit."""
    repeats = error_code in REPEATED_ERRORS and determinism_class != "none"
    return tuple(action for action in allowed(status) if not (repeats and action == "retry"))


def ending(status: str) -> str:
    """Return a run's final status as the verb of a sentence."""
    return "was cancelled" if status == "cancelled" else status


def leading(action: Action) -> tuple[Status, ...]:
    """Return the statuses that allow ``action``."""
    return tuple(status for status, actions in TRANSITIONS.items() if action in actions)
