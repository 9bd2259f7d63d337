"""The tables. Times are seconds since the epoch by the database's clock; JSON is text.

- ``runs``: runs, with what workers record of them; ``studies``; ``datasets``.
- ``events``, ``webhooks``: the log of events, and its deliveries to endpoints.
- ``callers``, ``workers``: tokens and idempotency keys, and registered workers.
- ``metadata``: what all tables share.
"""

from __future__ import annotations

from service.store.tables.callers import idempotency_key, token
from service.store.tables.datasets import dataset
from service.store.tables.events import event, event_clock
from service.store.tables.metadata import METADATA, db_now
from service.store.tables.runs import checkpoint, epoch, note, report, run, series, teacher, weights
from service.store.tables.studies import reproduction, study, study_look, test_opening
from service.store.tables.webhooks import webhook_attempt, webhook_cursor, webhook_delivery, webhook_endpoint
from service.store.tables.workers import worker

__all__ = [
    "METADATA",
    "checkpoint",
    "dataset",
    "db_now",
    "epoch",
    "event",
    "event_clock",
    "idempotency_key",
    "note",
    "report",
    "reproduction",
    "run",
    "series",
    "study",
    "study_look",
    "teacher",
    "test_opening",
    "token",
    "webhook_attempt",
    "webhook_cursor",
    "webhook_delivery",
    "webhook_endpoint",
    "weights",
    "worker",
]
