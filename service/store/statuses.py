"""The statuses of a run; ``service.runs.states`` has the transitions between them."""

from __future__ import annotations

from typing import Literal, get_args

Status = Literal["waiting", "queued", "running", "pausing", "paused", "cancelling", "succeeded", "failed", "cancelled"]

STATUSES: tuple[Status, ...] = get_args(Status)
HELD: tuple[Status, ...] = ("running", "pausing", "cancelling")
"""The statuses in which a worker holds the run."""
ENDED: tuple[Status, ...] = ("succeeded", "failed", "cancelled")
UNFINISHED = tuple(status for status in STATUSES if status not in ENDED)

TuningPhase = Literal["searching", "frozen", "confirming", "done", "stopped"]
TUNING: tuple[TuningPhase, ...] = ("searching", "frozen", "confirming")
"""The phases of a tuned study that has not ended."""
SEALED: tuple[TuningPhase, ...] = ("searching", "frozen")
"""The phases in which the test part is sealed."""
