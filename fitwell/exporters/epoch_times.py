"""Times at which epochs ended."""

from __future__ import annotations

from datetime import datetime
from itertools import accumulate
from typing import Any

from fitwell.history import History
from fitwell.run import Run


def epoch_end_times(run: Run[Any], history: History) -> list[float]:
    """Return the Unix time in seconds at which each epoch ended, ignoring pauses of the run."""
    start = datetime.fromisoformat(run.started_at or run.created_at).timestamp()
    durations = history.series.get("seconds", [0.0] * len(history.epoch))
    return [start + elapsed for elapsed in accumulate(seconds or 0.0 for seconds in durations)]
