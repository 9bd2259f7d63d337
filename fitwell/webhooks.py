"""Webhook endpoints and their deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from fitwell.requests import Flow, ItemFlow, Request, api_path, fetch_json, paginate, send
from fitwell.sync_async import Resource, TransportT, View, call, listing

COLLECTION = "webhook_endpoints"
TEST_TIMEOUT_SECONDS = 60.0
"""The server responds to a test after the target has responded or timed out."""


class EndpointFields(TypedDict, total=False):
    """Filters and state of an endpoint."""

    study_id: str | None
    labels: Mapping[str, str]
    description: str | None
    enabled: bool


class EndpointChanges(EndpointFields, total=False):
    """The fields of an endpoint that can be changed."""

    url: str
    events: Sequence[str]


class Endpoint(View):
    """A webhook endpoint; ``secret`` is set only in the response that creates or rotates it."""

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
    """An attempt to send a delivery, with the target's response."""

    number: int
    at: str
    seconds: float
    status_code: int | None
    error: str | None
    response: str | None


class Delivery(View):
    """A message to an endpoint; ``id`` is the ``webhook-id`` header of every attempt."""

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


class Webhooks(Resource[TransportT]):
    """The collection of webhook endpoints."""

    @call
    def create(
        self, url: str, *, events: Sequence[str] | None = None, **more: Unpack[EndpointFields]
    ) -> Flow[Endpoint]:
        """Create an endpoint that receives ``events``, by default the events that end runs.

        ``study_id`` and ``labels`` restrict the runs; ``description`` and ``enabled`` are further fields.

        Raises:
            InvalidRequest: The URL is not allowed or an event is unknown; ``errors`` lists the fields.
        """
        body = {"url": url, **({} if events is None else {"events": list(events)}), **more}
        return (yield from _send_endpoint("POST", api_path(COLLECTION), body))

    @call
    def get(self, endpoint_id: str) -> Flow[Endpoint]:
        """Return an endpoint.

        Raises:
            EndpointNotFound: No endpoint has this id.
        """
        return (yield from _send_endpoint("GET", api_path(COLLECTION, endpoint_id)))

    @listing
    def list(self) -> ItemFlow[Endpoint]:
        """Yield endpoints, newest first; fetches page by page."""
        yield from paginate(api_path(COLLECTION), {"limit": 100}, Endpoint.model_validate)

    @call
    def change(self, endpoint_id: str, **changes: Unpack[EndpointChanges]) -> Flow[Endpoint]:
        """Change the given fields; ``enabled=True`` also sends pending deliveries.

        Raises:
            EndpointNotFound: No endpoint has this id.
        """
        return (yield from _send_endpoint("PATCH", api_path(COLLECTION, endpoint_id), changes))

    @call
    def rotate_secret(self, endpoint_id: str) -> Flow[Endpoint]:
        """Rotate the secret; deliveries are signed with both secrets for one day.

        Raises:
            EndpointNotFound: No endpoint has this id.
        """
        return (yield from _send_endpoint("POST", api_path(COLLECTION, endpoint_id, "rotate_secret"), repeatable=False))

    @call
    def delete(self, endpoint_id: str) -> Flow[None]:
        """Delete an endpoint with its log and its pending deliveries.

        Raises:
            EndpointNotFound: No endpoint has this id.
        """
        yield from send(Request("DELETE", api_path(COLLECTION, endpoint_id)))

    @call
    def test(self, endpoint_id: str) -> Flow[Delivery]:
        """Send a test delivery now and return it with the target's response.

        Raises:
            EndpointNotFound: No endpoint has this id.
        """
        request = Request("POST", api_path(COLLECTION, endpoint_id, "test"), timeout=TEST_TIMEOUT_SECONDS)
        return Delivery.model_validate((yield from fetch_json(request)))

    @listing
    def deliveries(self, endpoint_id: str, *, status: str | None = None) -> ItemFlow[Delivery]:
        """Yield the deliveries of an endpoint, newest first; fetches page by page.

        Raises:
            EndpointNotFound: No endpoint has this id.
        """
        params = {"limit": 100, **({} if status is None else {"status": status})}
        yield from paginate(api_path(COLLECTION, endpoint_id, "deliveries"), params, Delivery.model_validate)

    @call
    def retry(self, endpoint_id: str, delivery_id: str) -> Flow[Delivery]:
        """Send a delivery again now, under the same id.

        Raises:
            DeliveryNotFound: No delivery of the endpoint has this id.
            EndpointDisabled: The endpoint is disabled.
        """
        path = api_path(COLLECTION, endpoint_id, "deliveries", delivery_id, "retry")
        return Delivery.model_validate((yield from fetch_json(Request("POST", path))))


def _send_endpoint(
    method: str, path: str, body: Mapping[str, Any] | None = None, *, repeatable: bool = True
) -> Flow[Endpoint]:
    return Endpoint.model_validate((yield from fetch_json(Request(method, path, json=body, repeatable=repeatable))))
