"""The messages that webhooks send, for the OpenAPI document: requests that this service makes, not receives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field

from service.runs.states import Status
from service.webhooks.event_types import EventType

router = APIRouter(tags=["webhooks"])
ACCEPTED = "Accepted; any other 2xx works too."
RESPONSES: dict[int | str, dict[str, Any]] = {
    410: {"description": "The receiver wants no more messages; the endpoint is disabled."},
    "default": {"description": "Not accepted, including redirects; the message is retried."},
}
Id = Annotated[str, Header(description="The same at every attempt: use it to ignore duplicates.")]
Timestamp = Annotated[str, Header(description="Time of the attempt, in seconds since the epoch.")]
Signature = Annotated[str, Header(description="`v1,…` for each valid secret, as in Standard Webhooks.")]


class RunTold(BaseModel):
    """The run, and its status after the event."""

    run_id: str
    status: Status
    study_id: str | None


class RunMessage(BaseModel):
    """An event of a run; `GET /v1/runs/{run_id}` returns its current state."""

    type: EventType = Field(examples=["run.succeeded"])
    timestamp: str = Field(description="Time of the event.")
    data: RunTold


class StudyTold(BaseModel):
    """The study and its status."""

    study_id: str
    status: Literal["finished"]


class StudyMessage(BaseModel):
    """All runs of a study have finished."""

    type: Literal["study.finished"]
    timestamp: str
    data: StudyTold


@router.post(
    "run", operation_id="receive_run_message", status_code=204, response_description=ACCEPTED, responses=RESPONSES
)
def receive_run_message(
    body: RunMessage, webhook_id: Id, webhook_timestamp: Timestamp, webhook_signature: Signature
) -> None:
    """Receive an event of a run."""


@router.post(
    "study", operation_id="receive_study_message", status_code=204, response_description=ACCEPTED, responses=RESPONSES
)
def receive_study_message(
    body: StudyMessage, webhook_id: Id, webhook_timestamp: Timestamp, webhook_signature: Signature
) -> None:
    """Receive that all runs of a study have finished; sent again after runs that were added later have finished."""
