"""Webhook endpoints and what was sent to them, as the client sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fitwell.run import View
from fitwell.transport import Transport

PATH = "/v1/webhook_endpoints"
TEST_SECONDS = 60.0
"""A test answers when the target has, or has not."""


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


class Webhooks:
    """The webhook endpoints of a server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, url: str, *, events: Sequence[str] | None = None, **more: Any) -> Endpoint:
        """Be told at ``url``, by default of the ends of runs; ``study_id``, ``labels``, ``description``, ``enabled``.

        Raises:
            BadRequest: nothing is sent there, or there is no such event; ``errors`` says where.
        """
        body = {"url": url, **({} if events is None else {"events": list(events)}), **more}
        return self._endpoint("POST", PATH, body)

    def get(self, endpoint_id: str) -> Endpoint:
        """One endpoint.

        Raises:
            NotFound: there is none of this id.
        """
        return self._endpoint("GET", f"{PATH}/{endpoint_id}")

    def list(self) -> Iterator[Endpoint]:
        """Endpoints, newest first, page by page."""
        return (Endpoint.model_validate(one) for one in self._pages(PATH, {"limit": 100}))

    def change(self, endpoint_id: str, **changes: Any) -> Endpoint:
        """Change what is named; ``enabled=True`` sends what waited, too.

        Raises:
            NotFound: there is none of this id.
        """
        return self._endpoint("PATCH", f"{PATH}/{endpoint_id}", changes)

    def rotate_secret(self, endpoint_id: str) -> Endpoint:
        """Change the secret for another; for a day, what is sent is signed by both.

        Raises:
            NotFound: there is none of this id.
        """
        return self._endpoint("POST", f"{PATH}/{endpoint_id}/rotate_secret")

    def delete(self, endpoint_id: str) -> None:
        """Forget an endpoint, its log, and what was to be sent to it.

        Raises:
            NotFound: there is none of this id.
        """
        self._transport.request("DELETE", f"{PATH}/{endpoint_id}")

    def test(self, endpoint_id: str) -> Delivery:
        """Send a test now; what came back.

        Raises:
            NotFound: there is none of this id.
        """
        answer = self._transport.request("POST", f"{PATH}/{endpoint_id}/test", timeout=TEST_SECONDS)
        return Delivery.model_validate(answer.json())

    def deliveries(self, endpoint_id: str, *, status: str | None = None) -> Iterator[Delivery]:
        """What was sent to an endpoint or is to be, newest first, page by page.

        Raises:
            NotFound: there is none of this id.
        """
        params = {"limit": 100, **({} if status is None else {"status": status})}
        return (Delivery.model_validate(one) for one in self._pages(f"{PATH}/{endpoint_id}/deliveries", params))

    def retry(self, endpoint_id: str, delivery_id: str) -> Delivery:
        """Send a delivery again now, with the id it had.

        Raises:
            NotFound: there is none of this id.
            Conflict: the endpoint is disabled.
        """
        answer = self._transport.request("POST", f"{PATH}/{endpoint_id}/deliveries/{delivery_id}/retry")
        return Delivery.model_validate(answer.json())

    def _endpoint(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Endpoint:
        return Endpoint.model_validate(self._transport.request(method, path, json=body).json())

    def _pages(self, path: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        while True:
            page = self._transport.request("GET", path, params=params).json()
            yield from page["data"]
            if not page["has_more"]:
                return
            params["after"] = page["next_cursor"]
