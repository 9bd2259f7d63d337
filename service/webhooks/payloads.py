"""Payloads of webhooks: small, so that receivers read the current state from the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from service.store.rows import Row
from service.store.statuses import STATUSES
from service.webhooks.event_types import STUDY_END

THEN = {"created": "queued", "claimed": "running", "started": "running", "resumed": "running", "requeued": "queued"}
"""The status of a run after events that are not named after a status."""


def text(event_type: str, at: float, data: Mapping[str, Any]) -> str:
    """Return the body of a delivery; exactly these bytes are signed."""
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    payload = {"type": event_type, "timestamp": stamp, "data": data}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def of_event(row: Row) -> str:
    """Return the payload of a run's event: the run, and its status after the event, or its current one."""
    name = row.type.removeprefix("run.")
    status = name if name in STATUSES else THEN.get(name, row.status)
    return text(row.type, row.at, {"run_id": row.run_id, "status": status, "study_id": row.study_id})


def of_study(row: Row) -> str:
    """Return the payload of a study that finished with the event in ``row``."""
    return text(STUDY_END, row.at, {"study_id": row.study_id, "status": "finished"})
