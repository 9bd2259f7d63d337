"""Webhook endpoints and what was sent to them, as the client sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from fitwell.requests import Plan, Request, Telling, answered, pages, place, read
from fitwell.sync_async import M, Resource, View, call, listing

NAME = "webhook_endpoints"
TEST_SECONDS = 60.0
"""A test answers when the target has, or has not."""


class EndpointFields(TypedDict, total=False):
    """What an endpoint is told of besides its events, and whether it is on."""

    study_id: str | None
    labels: Mapping[str, str]
    description: str | None
    enabled: bool


class EndpointChanges(EndpointFields, total=False):
    """What can be changed of an endpoint."""

    url: str
    events: Sequence[str]


class Endpoint(View):
    """A webhook endpoint; ``secret`` is there when it was just made or changed, and never again."""

    id: str
    url: str
    events: list[str]
    description: str | None
    study_id: str | None
    labels: dict[str, str]
    enabled: bool
    disabled_reason: str | None
    failing_since: str | None
    created_at: str
    secret: str | None = None


class Attempt(View):
    """One time that a delivery was sent, and what came back."""

    number: int
    at: str
    seconds: float
    status_code: int | None
    error: str | None
    response: str | None


class Delivery(View):
    """A message to an endpoint; ``id`` is the ``webhook-id`` of every attempt."""

    id: str
    endpoint_id: str
    event_id: int | None
    type: str
    status: str
    next_attempt_at: str | None
    created_at: str
    ended_at: str | None
    payload: dict[str, Any]
    attempts: list[Attempt]


class Webhooks(Resource[M]):
    """The webhook endpoints of a server."""

    @call
    def create(
        self, url: str, *, events: Sequence[str] | None = None, **more: Unpack[EndpointFields]
    ) -> Plan[Endpoint]:
        """Be told at ``url``, by default of the ends of runs; ``study_id``, ``labels``, ``description``, ``enabled``.

        Raises:
            InvalidRequest: nothing is sent there, or there is no such event; ``errors`` says where.
        """
        body = {"url": url, **({} if events is None else {"events": list(events)}), **more}
        return (yield from _endpoint("POST", place(NAME), body))

    @call
    def get(self, endpoint_id: str) -> Plan[Endpoint]:
        """One endpoint.

        Raises:
            EndpointNotFound: there is none of this id.
        """
        return (yield from _endpoint("GET", place(NAME, endpoint_id)))

    @listing
    def list(self) -> Telling[Endpoint]:
        """Endpoints, newest first, page by page."""
        yield from pages(place(NAME), {"limit": 100}, Endpoint.model_validate)

    @call
    def change(self, endpoint_id: str, **changes: Unpack[EndpointChanges]) -> Plan[Endpoint]:
        """Change what is named; ``enabled=True`` sends what waited, too.

        Raises:
            EndpointNotFound: there is none of this id.
        """
        return (yield from _endpoint("PATCH", place(NAME, endpoint_id), changes))

    @call
    def rotate_secret(self, endpoint_id: str) -> Plan[Endpoint]:
        """Change the secret for another; for a day, what is sent is signed by both.

        Raises:
            EndpointNotFound: there is none of this id.
        """
        return (yield from _endpoint("POST", place(NAME, endpoint_id, "rotate_secret"), repeatable=False))

    @call
    def delete(self, endpoint_id: str) -> Plan[None]:
        """Forget an endpoint, its log, and what was to be sent to it.

        Raises:
            EndpointNotFound: there is none of this id.
        """
        yield from answered(Request("DELETE", place(NAME, endpoint_id)))

    @call
    def test(self, endpoint_id: str) -> Plan[Delivery]:
        """Send a test now; what came back.

        Raises:
            EndpointNotFound: there is none of this id.
        """
        request = Request("POST", place(NAME, endpoint_id, "test"), timeout=TEST_SECONDS)
        return Delivery.model_validate((yield from read(request)))

    @listing
    def deliveries(self, endpoint_id: str, *, status: str | None = None) -> Telling[Delivery]:
        """What was sent to an endpoint or is to be, newest first, page by page.

        Raises:
            EndpointNotFound: there is none of this id.
        """
        params = {"limit": 100, **({} if status is None else {"status": status})}
        yield from pages(place(NAME, endpoint_id, "deliveries"), params, Delivery.model_validate)

    @call
    def retry(self, endpoint_id: str, delivery_id: str) -> Plan[Delivery]:
        """Send a delivery again now, with the id it had.

        Raises:
            DeliveryNotFound: there is none of this id.
            EndpointDisabled: the endpoint is disabled.
        """
        path = place(NAME, endpoint_id, "deliveries", delivery_id, "retry")
        return Delivery.model_validate((yield from read(Request("POST", path))))


def _endpoint(
    method: str, path: str, body: Mapping[str, Any] | None = None, *, repeatable: bool = True
) -> Plan[Endpoint]:
    return Endpoint.model_validate((yield from read(Request(method, path, json=body, repeatable=repeatable))))
