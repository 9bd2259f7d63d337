"""What clients do with webhook endpoints. Every method is one transaction, and takes URLs that have been checked."""

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
"""How long what is sent is signed by the secret of before, too."""


class Endpoints(CallerScoped):
    """Webhook endpoints in one database. Only its owner and admins see one, since its URL and log are nobody else's."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def create(self, new: NewEndpoint, *, render: Callable[[Endpoint], str], key: Key | None = None) -> StoredResponse:
        """Tell this endpoint what happens from now on; the secret is in the ``Endpoint`` that ``render`` gets.

        Raises:
            SpecRefused: there is no such study.
            TooManyEndpoints: there are as many as the settings allow.
            KeyReused: The key was used with another body or query.
        """
        with writing(self._engine) as connection:
            stored = idempotency.replay(connection, key, self._settings.idempotency_seconds)
            if stored is not None:
                return stored
            most = self._settings.max_webhook_endpoints
            if webhooks.count(connection) >= most:
                raise TooManyEndpoints(
                    f"There are {most} webhook endpoints, the most this server takes "
                    "(FITWELL_MAX_WEBHOOK_ENDPOINTS); delete one first."
                )
            self._check_study(connection, new.study_id)
            names = ("url", "events", "description", "study_id", "labels", "enabled")
            values = {name: getattr(new, name) for name in names}
            values |= {"owner": self.caller.owner, "hears_all": self.caller.is_admin}
            endpoint_id = f"we_{ULID()}"
            since = events.last_id(connection)
            webhooks.insert(connection, {"id": endpoint_id, "secret": _secret(), "since_event": since, **values})
            answer = StoredResponse(201, render(Endpoint.of(self._row(connection, endpoint_id))), endpoint_id)
            idempotency.store(connection, key, answer)
        return answer

    def get(self, endpoint_id: str) -> Endpoint:
        """One endpoint.

        Raises:
            EndpointNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            return Endpoint.of(self._row(connection, endpoint_id))

    def page(self, *, limit: int, after: str | None) -> EndpointPage:
        """Endpoints, newest first.

        Raises:
            BadCursor: ``after`` is no cursor of a page.
        """
        with reading(self._engine) as connection:
            before = None if after is None else position(after)
            mine = None if self.caller.is_admin else self.caller.owner
            found = webhooks.page(connection, before=before, limit=limit + 1, owner=mine)
        shown, more = found[:limit], len(found) > limit
        return EndpointPage([Endpoint.of(row) for row in shown], more, cursor_at(shown[-1]) if more else None)

    def change(self, endpoint_id: str, values: Mapping[str, Any]) -> Endpoint:
        """Change an endpoint. One that is enabled again is told what happens from then on, and what waited for it.

        Raises:
            EndpointNotFound: there is none of this id.
            SpecRefused: there is no such study.
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
        """Give an endpoint another secret; for a day, what is sent is signed by both.

        Raises:
            EndpointNotFound: there is none of this id.
        """
        with writing(self._engine) as connection:
            self._row(connection, endpoint_id, lock=True)
            webhooks.rotate(connection, endpoint_id, _secret(), OLD_SECRET_SECONDS)
            return Endpoint.of(self._row(connection, endpoint_id))

    def delete(self, endpoint_id: str) -> None:
        """Forget an endpoint, its log, and what waited for it.

        Raises:
            EndpointNotFound: there is none of this id.
        """
        with writing(self._engine) as connection:
            self._row(connection, endpoint_id, lock=True)
            webhooks.delete(connection, endpoint_id)

    def deliveries(
        self, endpoint_id: str, *, status: DeliveryStatus | None, limit: int, after: str | None
    ) -> DeliveryPage:
        """What was sent to an endpoint or is to be, newest first.

        Raises:
            EndpointNotFound: there is none of this id.
            BadCursor: ``after`` is no cursor of a page.
        """
        before = None if after is None else position(after)
        with reading(self._engine) as connection:
            self._row(connection, endpoint_id)
            found = deliveries.page(connection, endpoint_id, status=status, before=before, limit=limit + 1)
            shown, more = found[:limit], len(found) > limit
            attempts = deliveries.attempts_of(connection, [row.id for row in shown])
        by_delivery: dict[str, list[Row]] = {}
        for attempt in attempts:
            by_delivery.setdefault(attempt.delivery_id, []).append(attempt)
        listed = [Delivery.of(row, by_delivery.get(row.id, [])) for row in shown]
        return DeliveryPage(listed, more, cursor_at(shown[-1]) if more else None)

    def delivery(self, endpoint_id: str, delivery_id: str) -> Delivery:
        """One delivery with its attempts.

        Raises:
            EndpointNotFound, DeliveryNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            self._row(connection, endpoint_id)
            return _delivery(connection, endpoint_id, delivery_id)

    def retry(self, endpoint_id: str, delivery_id: str) -> tuple[Delivery, bool]:
        """Send a delivery again, with the same id, however it ended; False where it is being sent already.

        Raises:
            EndpointNotFound, DeliveryNotFound: there is none of this id.
            EndpointDisabled: nothing is sent to this endpoint.
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
        """A delivery that tells nothing, held, to be sent now and once.

        Raises:
            EndpointNotFound: there is none of this id.
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
            message = f"There is no study {study_id!r}. GET /v1/studies lists those there are."
            raise SpecRefused.at("/study_id", "no_such_study", message)

    def _row(self, connection: sa.Connection, endpoint_id: str, *, lock: bool = False) -> Row:
        row = webhooks.by_id(connection, endpoint_id, lock=lock)
        if row is None or not (self.caller.is_admin or row.owner == self.caller.owner):
            raise EndpointNotFound(
                f"There is no webhook endpoint {endpoint_id!r}. GET /v1/webhook_endpoints lists those there are."
            )
        return row


def _delivery(connection: sa.Connection, endpoint_id: str, delivery_id: str) -> Delivery:
    row = deliveries.by_id(connection, delivery_id)
    if row is None or row.endpoint_id != endpoint_id:
        raise DeliveryNotFound(
            f"There is no delivery {delivery_id!r} in the log of {endpoint_id}, or no longer. "
            f"GET /v1/webhook_endpoints/{endpoint_id}/deliveries lists those there are."
        )
    return Delivery.of(row, deliveries.attempts_of(connection, [row.id]))


def _secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
