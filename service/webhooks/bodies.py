"""Bodies of webhook endpoints."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.http.names import Name
from service.runs.bodies import Labels
from service.webhooks.endpoint import NewEndpoint
from service.webhooks.event_types import RUN_ENDS, Wanted
from service.webhooks.targets import MOST_URL_LENGTH

Url = Annotated[
    str,
    StringConstraints(max_length=MOST_URL_LENGTH),
    Field(description="https://…, at an address on the internet.", examples=["https://hooks.example/fitwell"]),
]
Events = Annotated[
    list[Wanted],
    Field(min_length=1, max_length=32, description="What to tell: types of events, or families such as `run.*`."),
]
StudyId = Annotated[str, StringConstraints(max_length=64)]


class EndpointBody(BaseModel):
    """Where to tell what happens, and what of it; without filters, of every run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Url
    events: Events = list(RUN_ENDS)
    description: Name | None = Field(default=None, description="For people.")
    study_id: StudyId | None = Field(default=None, description="Only what happens in this study.")
    labels: Labels = Field(default={}, description="Only of runs that have all of these labels.")
    enabled: bool = True

    def new_endpoint(self) -> NewEndpoint:
        """The endpoint that is asked for."""
        return NewEndpoint(**{name: getattr(self, name) for name in EndpointBody.model_fields})


class EndpointChangeBody(BaseModel):
    """What is to be changed of an endpoint; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Url = ""
    events: Events = list(RUN_ENDS)
    description: Name | None = None
    study_id: StudyId | None = None
    labels: Labels = {}
    enabled: bool = True
