"""Endpoints, deliveries and attempts. Times are seconds since the epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.store.rows import Row

DeliveryStatus = Literal["pending", "succeeded", "failed"]


@dataclass(frozen=True, kw_only=True)
class NewEndpoint:
    """An endpoint to create; its URL has been checked."""

    url: str
    events: Sequence[str]
    description: str | None
    study_id: str | None
    labels: Mapping[str, str]
    enabled: bool


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A URL that gets events of its owner's runs, or of all runs, with the secret that signs them."""

    id: str
    owner: str
    hears_all: bool
    url: str
    events: Sequence[str]
    description: str | None
    study_id: str | None
    labels: Mapping[str, str]
    enabled: bool
    disabled_reason: str | None
    failing_since: float | None
    created_at: float
    secret: str

    @classmethod
    def of(cls, row: Row) -> Endpoint:
        """Return the endpoint in ``row``."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt to send a delivery, and its response."""

    number: int
    at: float
    seconds: float
    status_code: int | None
    error: str | None
    response: str | None

    @classmethod
    def of(cls, row: Row) -> Attempt:
        """Return the attempt in ``row``."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A message to an endpoint; its id is the ``webhook-id`` of every attempt."""

    id: str
    endpoint_id: str
    event_id: int | None
    type: str
    status: DeliveryStatus
    next_attempt_at: float | None
    created_at: float
    ended_at: float | None
    payload: Mapping[str, Any]
    attempts: Sequence[Attempt]

    @classmethod
    def of(cls, row: Row, attempts: Sequence[Row]) -> Delivery:
        """Return the delivery in ``row`` with its own ones of ``attempts``."""
        names = ("id", "endpoint_id", "event_id", "type", "status", "next_attempt_at", "created_at", "ended_at")
        return cls(
            **{name: getattr(row, name) for name in names},
            payload=json.loads(row.payload),
            attempts=[Attempt.of(one) for one in attempts if one.delivery_id == row.id],
        )


@dataclass(frozen=True)
class EndpointPage:
    """A page of endpoints, newest first."""

    endpoints: Sequence[Endpoint]
    has_more: bool
    next_cursor: str | None


@dataclass(frozen=True)
class DeliveryPage:
    """A page of deliveries, newest first."""

    deliveries: Sequence[Delivery]
    has_more: bool
    next_cursor: str | None
