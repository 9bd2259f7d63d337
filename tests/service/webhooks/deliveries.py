"""Helpers of the tests of deliveries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from service.store.database import writing
from service.store.tables import (
    webhook_delivery,
)
from service.webhooks.endpoint import Delivery
from service.webhooks.http_post import Reply
from service.webhooks.outbox import Due, Outbox
from service.webhooks.service import Endpoints

End = Callable[..., list[str]]
ACCEPTED = Reply(seconds=0.1, status_code=204)
FAILED = Reply(seconds=0.1, status_code=500, response="no")
REMOVED = Reply(seconds=0.1, status_code=410)
ROOM = {"room": 100, "failing_room": 100}


def log(endpoints: Endpoints, endpoint_id: str) -> Sequence[Delivery]:
    return endpoints.deliveries(endpoint_id, status=None, limit=1000, after=None).deliveries


def fill(outbox: Outbox) -> None:
    while outbox.fill():
        pass


def due(engine: sa.Engine, seconds: float = 10**6) -> None:
    """Make every scheduled delivery due."""
    with writing(engine) as connection:
        connection.execute(
            sa.update(webhook_delivery)
            .where(webhook_delivery.c.next_attempt_at.is_not(None))
            .values(next_attempt_at=webhook_delivery.c.next_attempt_at - seconds)
        )


def only(claimed: Sequence[Due]) -> Due:
    (one,) = claimed
    return one
