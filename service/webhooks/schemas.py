"""What clients see of webhook endpoints and their deliveries."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.runs.schemas import timestamp
from service.webhooks.endpoint import Attempt, Delivery, DeliveryPage, DeliveryStatus, Endpoint, EndpointPage


class EndpointView(BaseModel):
    """A webhook endpoint. Its secret is shown when it is made and when it is changed for another, and never again."""

    id: str = Field(examples=["we_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"])
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    owner: str
    hears_all: bool = Field(description="Whether it is told of everybody's runs, as an admin's is, or of its owner's.")
    url: str
    events: list[str]
    description: str | None
    study_id: str | None
    labels: dict[str, str]
    enabled: bool
    disabled_reason: str | None = Field(description="Why the server itself disabled it.")
    failing_since: str | None = Field(description="When the first attempt failed since the last that was taken.")
    created_at: str

    @classmethod
    def of(cls, endpoint: Endpoint) -> EndpointView:
        """The endpoint as it is shown."""
        return cls(**_shown(endpoint))


class EndpointSecretView(EndpointView):
    """A webhook endpoint with its secret: keep it, it is not shown again."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])

    @classmethod
    def of(cls, endpoint: Endpoint) -> EndpointSecretView:
        """The endpoint as it is shown to whoever made it."""
        return cls(**_shown(endpoint), secret=endpoint.secret)


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    same = ("id", "owner", "hears_all", "url", "description", "study_id", "enabled", "disabled_reason")
    return {
        **{name: getattr(endpoint, name) for name in same},
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
        """The page as it is shown."""
        listed = [EndpointView.of(endpoint) for endpoint in page.endpoints]
        return cls(data=listed, has_more=page.has_more, next_cursor=page.next_cursor)


class AttemptView(BaseModel):
    """One time that a delivery was sent."""

    number: int
    at: str
    seconds: float = Field(description="How long it took.")
    status_code: int | None = Field(description="What the target answered.")
    error: str | None = Field(description="Why there is no answer, or why it does not count.")
    response: str | None = Field(description="How the body of the answer begins.")

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        """The attempt as it is shown."""
        same = ("number", "seconds", "status_code", "error", "response")
        return cls(**{name: getattr(attempt, name) for name in same}, at=timestamp(attempt.at) or "")


class DeliveryView(BaseModel):
    """A message to an endpoint: what it says, whether it was taken, and every attempt."""

    id: str = Field(description="The `webhook-id` of every attempt.", examples=["msg_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"])
    object: Literal["webhook_delivery"] = "webhook_delivery"
    endpoint_id: str
    event_id: int | None = Field(description="The event that it tells of; null for a test.")
    type: str = Field(examples=["run.succeeded"])
    status: DeliveryStatus
    next_attempt_at: str | None
    created_at: str
    ended_at: str | None
    payload: dict[str, Any]
    attempts: list[AttemptView]

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryView:
        """The delivery as it is shown."""
        return cls(
            **{name: getattr(delivery, name) for name in ("id", "endpoint_id", "event_id", "type", "status")},
            next_attempt_at=timestamp(delivery.next_attempt_at),
            created_at=timestamp(delivery.created_at) or "",
            ended_at=timestamp(delivery.ended_at),
            payload=dict(delivery.payload),
            attempts=[AttemptView.of(attempt) for attempt in delivery.attempts],
        )


class DeliveryList(BaseModel):
    """A page of an endpoint's log, newest first."""

    object: Literal["list"] = "list"
    data: list[DeliveryView]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for the next page.")

    @classmethod
    def of(cls, page: DeliveryPage) -> DeliveryList:
        """The page as it is shown."""
        listed = [DeliveryView.of(delivery) for delivery in page.deliveries]
        return cls(data=listed, has_more=page.has_more, next_cursor=page.next_cursor)
