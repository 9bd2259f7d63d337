"""What a webhook says: thin, so that whoever hears of something asks the API how it is now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from service.store.rows import Row
from service.store.statuses import STATUSES
from service.webhooks.event_types import STUDY_END

THEN = {"created": "queued", "claimed": "running", "started": "running", "resumed": "running", "requeued": "queued"}
"""The status of a run after what is not named by one."""


def text(event_type: str, at: float, data: Mapping[str, Any]) -> str:
    """The body of a delivery; its very bytes are signed."""
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = {"type": event_type, "timestamp": stamp, "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def of_event(row: Row) -> str:
    """What is told of an event: the run, and the status it had then; where the event does not say, the one it has."""
    named = row.type.removeprefix("run.")
    status = named if named in STATUSES else THEN.get(named, row.status)
    return text(row.type, row.at, {"run_id": row.run_id, "status": status, "study_id": row.study_id})


def of_study(row: Row) -> str:
    """What is told of a study that ended with the event in ``row``."""
    return text(STUDY_END, row.at, {"study_id": row.study_id, "status": "finished"})
