"""Events as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.http.timestamps import timestamp
from service.runs.run import Event


class EventView(BaseModel):
    """An event in the life of a run."""

    id: int
    object: Literal["event"] = "event"
    type: str = Field(examples=["run.created", "epoch", "run.succeeded"])
    run_id: str
    at: str
    data: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> EventView:
        """Return the view of an event."""
        return cls(
            id=event.id, type=event.type, run_id=event.run_id, at=timestamp(event.at) or "", data=dict(event.data)
        )


class EventList(BaseModel):
    """A page of events, oldest first."""

    object: Literal["list"] = "list"
    data: list[EventView]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for the next page, or as SSE's Last-Event-ID.")
