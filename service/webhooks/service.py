"""Operations on webhook endpoints. Every method is one transaction; URLs have been checked before."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from ulid import ULID

from service import idempotency
from service.callers import CallerScoped
from service.errors import SpecRefused
from service.idempotency import Key, StoredResponse
from service.runs.pages import cursor_at, position
from service.settings import Settings
from service.store import events
from service.store.database import reading, writing
from service.store.rows import Row
from service.store.tables import db_now
from service.studies import queries as studies
from service.webhooks import delivery_queries as deliveries
from service.webhooks import payloads
from service.webhooks import queries as webhooks
from service.webhooks.endpoint import Delivery, DeliveryPage, DeliveryStatus, Endpoint, EndpointPage, NewEndpoint
from service.webhooks.errors import DeliveryNotFound, EndpointDisabled, EndpointNotFound, TooManyEndpoints
from service.webhooks.event_types import TEST
from service.webhooks.outbox import Due, hold

SECRET_BYTES = 32
OLD_SECRET_SECONDS = 86_400.0
"""How long messages are also signed with the previous secret."""


class Endpoints(CallerScoped):
    """Webhook endpoints in one database. An endpoint, with its URL and log, is visible to its owner and admins only."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def create(self, new: NewEndpoint, *, render: Callable[[Endpoint], str], key: Key | None = None) -> StoredResponse:
        """Create an endpoint that gets events from now on; only the ``Endpoint`` passed to ``render`` has the secret.

        Raises:
            SpecRefused: The study does not exist.
            TooManyEndpoints: The server has as many endpoints as the settings allow.
            KeyReused: The key was used with another body or query.
        """
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            limit = self._settings.max_webhook_endpoints
            if webhooks.count(connection) >= limit:
                raise TooManyEndpoints(
                    f"This server has {limit} webhook endpoints, its limit (FITWELL_MAX_WEBHOOK_ENDPOINTS); "
                    "delete one first."
                )
            self._check_study(connection, new.study_id)
            names = ("url", "events", "description", "study_id", "labels", "enabled")
            values = {name: getattr(new, name) for name in names}
            values |= {"owner": self.caller.owner, "hears_all": self.caller.is_admin}
            endpoint_id = f"we_{ULID()}"
            since = events.last_id(connection)
            webhooks.insert(connection, {"id": endpoint_id, "secret": _secret(), "since_event": since, **values})
            response = StoredResponse(201, render(Endpoint.of(self._row(connection, endpoint_id))), endpoint_id)
            idempotency.store(connection, key, response)
        return response

    def get(self, endpoint_id: str) -> Endpoint:
        """Return one endpoint.

        Raises:
            EndpointNotFound: No visible endpoint has this id.
        """
        with reading(self._engine) as connection:
            return Endpoint.of(self._row(connection, endpoint_id))

    def page(self, *, limit: int, after: str | None) -> EndpointPage:
        """Return a page of endpoints, newest first.

        Raises:
            BadCursor: ``after`` is not a cursor of this list.
        """
        with reading(self._engine) as connection:
            before = None if after is None else position(after)
            owner = None if self.caller.is_admin else self.caller.owner
            rows = webhooks.page(connection, before=before, limit=limit + 1, owner=owner)
        listed, has_more = rows[:limit], len(rows) > limit
        next_cursor = cursor_at(listed[-1]) if has_more else None
        return EndpointPage([Endpoint.of(row) for row in listed], has_more, next_cursor)

    def change(self, endpoint_id: str, values: Mapping[str, Any]) -> Endpoint:
        """Change an endpoint. After it is enabled again it gets new events, and messages that were pending.

        Raises:
            EndpointNotFound: No visible endpoint has this id.
            SpecRefused: The study does not exist.
        """
        with writing(self._engine) as connection:
            row = self._row(connection, endpoint_id, lock=True)
            self._check_study(connection, values.get("study_id"))
            changed = dict(values)
            if "url" in values or values.get("enabled"):
                changed["failing_since"] = None
            if "enabled" in values:
                changed["disabled_reason"] = None
                if not row.enabled:
                    changed["since_event"] = events.last_id(connection)
            if changed:
                webhooks.change(connection, endpoint_id, changed)
            return Endpoint.of(self._row(connection, endpoint_id))

    def rotate(self, endpoint_id: str) -> Endpoint:
        """Replace the secret of an endpoint; for a day, messages are signed with both.

        Raises:
            EndpointNotFound: No visible endpoint has this id.
        """
        with writing(self._engine) as connection:
            self._row(connection, endpoint_id, lock=True)
            webhooks.rotate(connection, endpoint_id, _secret(), OLD_SECRET_SECONDS)
            return Endpoint.of(self._row(connection, endpoint_id))

    def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint, its log and its pending messages.

        Raises:
            EndpointNotFound: No visible endpoint has this id.
        """
        with writing(self._engine) as connection:
            self._row(connection, endpoint_id, lock=True)
            webhooks.delete(connection, endpoint_id)

    def deliveries(
        self, endpoint_id: str, *, status: DeliveryStatus | None, limit: int, after: str | None
    ) -> DeliveryPage:
        """Return a page of past and pending deliveries, newest first.

        Raises:
            EndpointNotFound: No visible endpoint has this id.
            BadCursor: ``after`` is not a cursor of this list.
        """
        before = None if after is None else position(after)
        with reading(self._engine) as connection:
            self._row(connection, endpoint_id)
            rows = deliveries.page(connection, endpoint_id, status=status, before=before, limit=limit + 1)
            page_rows, has_more = rows[:limit], len(rows) > limit
            attempts = deliveries.attempts_of(connection, [row.id for row in page_rows])
        by_delivery: dict[str, list[Row]] = {}
        for attempt in attempts:
            by_delivery.setdefault(attempt.delivery_id, []).append(attempt)
        listed = [Delivery.of(row, by_delivery.get(row.id, [])) for row in page_rows]
        return DeliveryPage(listed, has_more, cursor_at(page_rows[-1]) if has_more else None)

    def delivery(self, endpoint_id: str, delivery_id: str) -> Delivery:
        """Return one delivery with its attempts.

        Raises:
            EndpointNotFound, DeliveryNotFound: No visible endpoint or delivery has this id.
        """
        with reading(self._engine) as connection:
            self._row(connection, endpoint_id)
            return _delivery(connection, endpoint_id, delivery_id)

    def retry(self, endpoint_id: str, delivery_id: str) -> tuple[Delivery, bool]:
        """Send a delivery again, with the same id, whatever its status; False if it is already being sent.

        Raises:
            EndpointNotFound, DeliveryNotFound: No visible endpoint or delivery has this id.
            EndpointDisabled: The endpoint is disabled.
        """
        with writing(self._engine) as connection:
            endpoint = self._row(connection, endpoint_id, lock=True)
            _delivery(connection, endpoint_id, delivery_id)
            if not endpoint.enabled:
                raise EndpointDisabled("Nothing is sent to a disabled endpoint; enable it first.")
            row = deliveries.by_id(connection, delivery_id, lock=True)
            assert row is not None
            now = connection.execute(sa.select(db_now())).scalar_one()
            held = row.token is not None and row.lease_expires_at >= now
            if not held:
                deliveries.again(connection, delivery_id)
            return _delivery(connection, endpoint_id, delivery_id), not held

    def test(self, endpoint_id: str) -> Due:
        """Return a locked test delivery, to be sent once, now.

        Raises:
            EndpointNotFound: No visible endpoint has this id.
        """
        with writing(self._engine) as connection:
            endpoint = self._row(connection, endpoint_id, lock=True)
            now = connection.execute(sa.select(db_now())).scalar_one()
            payload = payloads.text(TEST, now, {"endpoint_id": endpoint_id})
            new = {"id": f"msg_{ULID()}", "endpoint_id": endpoint_id, "event_id": None, "type": TEST}
            deliveries.insert(connection, [{**new, "payload": payload}])
            row = deliveries.by_id(connection, new["id"] or "")
            assert row is not None
            return hold(connection, row, endpoint)

    def _check_study(self, connection: sa.Connection, study_id: str | None) -> None:
        study = None if study_id is None else studies.by_id(connection, study_id)
        if study_id is not None and (study is None or not self.caller.sees(study.owner)):
            message = f"Unknown study {study_id!r}. GET /v1/studies lists all studies."
            raise SpecRefused.at("/study_id", "no_such_study", message)

    def _row(self, connection: sa.Connection, endpoint_id: str, *, lock: bool = False) -> Row:
        row = webhooks.by_id(connection, endpoint_id, lock=lock)
        if row is None or not (self.caller.is_admin or row.owner == self.caller.owner):
            raise EndpointNotFound(
                f"Unknown webhook endpoint {endpoint_id!r}. GET /v1/webhook_endpoints lists all endpoints."
            )
        return row


def _delivery(connection: sa.Connection, endpoint_id: str, delivery_id: str) -> Delivery:
    row = deliveries.by_id(connection, delivery_id)
    if row is None or row.endpoint_id != endpoint_id:
        raise DeliveryNotFound(
            f"Unknown delivery {delivery_id!r}; the log of {endpoint_id} may have expired. "
            f"GET /v1/webhook_endpoints/{endpoint_id}/deliveries lists all deliveries."
        )
    return Delivery.of(row, deliveries.attempts_of(connection, [row.id]))


def _secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
