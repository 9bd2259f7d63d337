"""The states of a run and every way from one to another. Nothing else decides what may follow what."""

from __future__ import annotations

from typing import Literal

from service.store.statuses import ENDED, Status

__all__ = ["CLIENT_ACTIONS", "TERMINAL", "TRANSITIONS", "Action", "Status", "after", "allowed", "leading"]

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
    # Whatever its holder reports, a run that is to be cancelled ends so.
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
"""``stop``: the holder let the run go as it was asked to. ``release``: it gave the run back, or its lease was lost.
``give_up``: a lease was lost once too often. ``wait``: a retry of what ended before its teachers did. ``ready``: they
have ended well."""

TERMINAL: frozenset[Status] = frozenset(ENDED)

CLIENT_ACTIONS: tuple[Action, ...] = ("cancel", "pause", "resume", "retry")


def after(status: Status, action: Action) -> Status | None:
    """Where ``action`` leads from ``status``; None where it is not allowed."""
    return TRANSITIONS[status].get(action)


def allowed(status: Status) -> tuple[Action, ...]:
    """What a client may ask of a run in ``status``."""
    return tuple(action for action in CLIENT_ACTIONS if action in TRANSITIONS[status])


def leading(action: Action) -> tuple[Status, ...]:
    """The statuses from which ``action`` leads anywhere."""
    return tuple(status for status, ways in TRANSITIONS.items() if action in ways)
