"""When epochs ended."""

from __future__ import annotations

from datetime import datetime
from itertools import accumulate
from typing import Any

from fitwell.history import History
from fitwell.run import Run


def seconds_of(run: Run[Any], history: History) -> list[float]:
    """For each epoch when it ended, in seconds since 1970, as if the run had been trained without a pause."""
    began = datetime.fromisoformat(run.started_at or run.created_at).timestamp()
    taken = history.series.get("seconds", [0.0] * len(history.epoch))
    return [began + passed for passed in accumulate(one or 0.0 for one in taken)]
