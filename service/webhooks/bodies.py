"""Request bodies of webhook endpoints."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from service.http.bodies import BodyModel
from service.http.names import Name
from service.runs.run import Labels
from service.webhooks.endpoint import NewEndpoint
from service.webhooks.event_types import RUN_ENDS, EventPattern
from service.webhooks.targets import MAX_URL_LENGTH

EXAMPLE: dict[str, Any] = {
    "url": "https://hooks.example/fitwell",
    "events": ["run.succeeded", "run.failed", "study.finished"],
}
Url = Annotated[
    str,
    StringConstraints(max_length=MAX_URL_LENGTH),
    Field(description="https://…, at an address on the internet.", examples=["https://hooks.example/fitwell"]),
]
Events = Annotated[
    list[EventPattern],
    Field(min_length=1, max_length=32, description="Event types to send, or families such as `run.*`."),
]
StudyId = Annotated[str, StringConstraints(max_length=64)]


class EndpointBody(BodyModel):
    """Where to send events, and which; without filters, those of every run."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    url: Url
    events: Events = Field(default=list(RUN_ENDS))
    description: Name | None = Field(default=None, description="For display.")
    study_id: StudyId | None = Field(default=None, description="Only events of this study.")
    labels: Labels = Field(default={}, description="Only events of runs with all of these labels.")
    enabled: bool = True

    def new_endpoint(self) -> NewEndpoint:
        """Return the requested endpoint."""
        return NewEndpoint(**{name: getattr(self, name) for name in EndpointBody.model_fields})


class EndpointChangeBody(BodyModel):
    """Changes to an endpoint; fields left out keep their values."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})

    url: Url = ""
    events: Events = Field(default=list(RUN_ENDS))
    description: Name | None = None
    study_id: StudyId | None = None
    labels: Labels = Field(default={})
    enabled: bool = True
