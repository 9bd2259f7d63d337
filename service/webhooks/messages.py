"""What webhooks send, for the OpenAPI document: these are requests that the service makes, not that it answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field

from service.runs.states import Status
from service.webhooks.event_types import EventType

router = APIRouter(tags=["webhooks"])
TAKEN = "Taken; any other 2xx is as good."
ANSWERS: dict[int | str, dict[str, Any]] = {
    410: {"description": "The endpoint wants nothing more: it is disabled."},
    "default": {"description": "Not taken, a redirect as well; it is tried again."},
}
Id = Annotated[str, Header(description="The same in every attempt; what came twice came once.")]
Timestamp = Annotated[str, Header(description="Of the attempt, in seconds since the epoch.")]
Signature = Annotated[str, Header(description="`v1,…` by each secret that is valid, as Standard Webhooks has it.")]


class RunTold(BaseModel):
    """The run, and its status after what happened."""

    run_id: str
    status: Status
    study_id: str | None


class RunMessage(BaseModel):
    """Something happened to a run; `GET /v1/runs/{run_id}` tells how it is now."""

    type: EventType = Field(examples=["run.succeeded"])
    timestamp: str = Field(description="When it happened.")
    data: RunTold


class StudyTold(BaseModel):
    """The study."""

    study_id: str
    status: Literal["finished"]


class StudyMessage(BaseModel):
    """The last run of a study has ended."""

    type: Literal["study.finished"]
    timestamp: str
    data: StudyTold


@router.post("run", operation_id="receive_run_message", status_code=204, response_description=TAKEN, responses=ANSWERS)
def receive_run_message(
    body: RunMessage, webhook_id: Id, webhook_timestamp: Timestamp, webhook_signature: Signature
) -> None:
    """Something happened to a run."""


@router.post(
    "study", operation_id="receive_study_message", status_code=204, response_description=TAKEN, responses=ANSWERS
)
def receive_study_message(
    body: StudyMessage, webhook_id: Id, webhook_timestamp: Timestamp, webhook_signature: Signature
) -> None:
    """The last run of a study has ended; told again where it was given more runs and those have ended too."""
