"""Webhook endpoints and their deliveries as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.http.timestamps import timestamp
from service.webhooks.endpoint import Attempt, Delivery, DeliveryPage, DeliveryStatus, Endpoint, EndpointPage


class EndpointView(BaseModel):
    """A webhook endpoint. Its secret is only returned when the endpoint is created or the secret is rotated."""

    id: str = Field(examples=["we_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"])
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    owner: str
    hears_all: bool = Field(
        description="Whether it gets events of all runs, as an admin's does, or of its owner's only."
    )
    url: str
    events: list[str]
    description: str | None
    study_id: str | None
    labels: dict[str, str]
    enabled: bool
    disabled_reason: str | None = Field(description="Why the server disabled the endpoint.")
    failing_since: str | None = Field(description="Time of the first failed attempt since the last success.")
    created_at: str

    @classmethod
    def of(cls, endpoint: Endpoint) -> EndpointView:
        """Return the view of an endpoint."""
        return cls(**_fields(endpoint))


class EndpointSecretView(EndpointView):
    """A webhook endpoint with its secret; store it, it is not returned again."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])

    @classmethod
    def of(cls, endpoint: Endpoint) -> EndpointSecretView:
        """Return the view for the response that contains the secret."""
        return cls(**_fields(endpoint), secret=endpoint.secret)

    @classmethod
    def render(cls, endpoint: Endpoint) -> str:
        """Return the endpoint as JSON, for the response that is stored with it."""
        return cls.of(endpoint).model_dump_json()


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    names = ("id", "owner", "hears_all", "url", "description", "study_id", "enabled", "disabled_reason")
    return {
        **{name: getattr(endpoint, name) for name in names},
        "events": list(endpoint.events),
        "labels": dict(endpoint.labels),
        "failing_since": timestamp(endpoint.failing_since),
        "created_at": timestamp(endpoint.created_at) or "",
    }


class EndpointList(BaseModel):
    """A page of webhook endpoints, newest first."""

    object: Literal["list"] = "list"
    data: list[EndpointView]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for the next page.")

    @classmethod
    def of(cls, page: EndpointPage) -> EndpointList:
        """Return the view of a page."""
        data = [EndpointView.of(endpoint) for endpoint in page.endpoints]
        return cls(data=data, has_more=page.has_more, next_cursor=page.next_cursor)


class AttemptView(BaseModel):
    """One attempt to send a delivery."""

    number: int
    at: str
    seconds: float = Field(description="Duration of the attempt.")
    status_code: int | None = Field(description="Status of the response.")
    error: str | None = Field(description="Why there was no response, or why it was not accepted.")
    response: str | None = Field(description="Beginning of the response's body.")

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        """Return the view of an attempt."""
        names = ("number", "seconds", "status_code", "error", "response")
        return cls(**{name: getattr(attempt, name) for name in names}, at=timestamp(attempt.at) or "")


class DeliveryView(BaseModel):
    """A message to an endpoint: its payload, its status, and every attempt."""

    id: str = Field(description="The `webhook-id` of every attempt.", examples=["msg_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"])
    object: Literal["webhook_delivery"] = "webhook_delivery"
    endpoint_id: str
    event_id: int | None = Field(description="The event in the message; null for a test.")
    type: str = Field(examples=["run.succeeded"])
    status: DeliveryStatus
    next_attempt_at: str | None
    created_at: str
    ended_at: str | None
    payload: dict[str, Any]
    attempts: list[AttemptView]

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryView:
        """Return the view of a delivery."""
        return cls(
            **{name: getattr(delivery, name) for name in ("id", "endpoint_id", "event_id", "type", "status")},
            next_attempt_at=timestamp(delivery.next_attempt_at),
            created_at=timestamp(delivery.created_at) or "",
            ended_at=timestamp(delivery.ended_at),
            payload=dict(delivery.payload),
            attempts=[AttemptView.of(attempt) for attempt in delivery.attempts],
        )


class DeliveryList(BaseModel):
    """A page of the deliveries of an endpoint, newest first."""

    object: Literal["list"] = "list"
    data: list[DeliveryView]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for the next page.")

    @classmethod
    def of(cls, page: DeliveryPage) -> DeliveryList:
        """Return the view of a page."""
        data = [DeliveryView.of(delivery) for delivery in page.deliveries]
        return cls(data=data, has_more=page.has_more, next_cursor=page.next_cursor)
