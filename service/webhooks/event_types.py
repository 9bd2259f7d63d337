"""Event types that webhooks send, and the patterns that select them.

Epochs are not among them; clients that need every epoch read a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

EventType = Literal[
    "run.created", "run.waiting", "run.claimed", "run.started", "run.resumed", "run.requeued", "run.queued",
    "run.changed", "run.pausing", "run.paused", "run.cancelling", "run.succeeded", "run.failed", "run.cancelled",
    "study.finished",
]  # fmt: skip
EventPattern = Literal[EventType, "*", "run.*", "study.*"]
"""An event type, or a family of types."""
TYPES: tuple[EventType, ...] = get_args(EventType)
RUN_ENDS: tuple[EventType, ...] = ("run.succeeded", "run.failed", "run.cancelled")
STUDY_END: EventType = "study.finished"
TEST = "webhook.test"


def covers(patterns: Sequence[str], event_type: str) -> bool:
    """Return whether the patterns select this type."""
    return "*" in patterns or event_type in patterns or f"{event_type.partition('.')[0]}.*" in patterns
