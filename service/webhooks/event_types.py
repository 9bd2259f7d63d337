"""What can be told of, and what an endpoint asked to be told.

Epochs are not among them: who wants every epoch reads a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

EventType = Literal[
    "run.created", "run.waiting", "run.claimed", "run.started", "run.resumed", "run.requeued", "run.queued",
    "run.changed", "run.pausing", "run.paused", "run.cancelling", "run.succeeded", "run.failed", "run.cancelled",
    "study.finished",
]  # fmt: skip
Wanted = Literal[EventType, "*", "run.*", "study.*"]
"""A type, or a family of them."""
TYPES: tuple[EventType, ...] = get_args(EventType)
RUN_ENDS: tuple[EventType, ...] = ("run.succeeded", "run.failed", "run.cancelled")
STUDY_END: EventType = "study.finished"
TEST = "webhook.test"


def covers(wanted: Sequence[str], event_type: str) -> bool:
    """Whether a list of types and families names this type."""
    return "*" in wanted or event_type in wanted or f"{event_type.partition('.')[0]}.*" in wanted
