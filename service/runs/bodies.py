"""Bodies of runs: what to train, and what can be changed later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.errors import SpecRefused
from service.http.bodies import parse
from service.http.names import Label, Name
from service.runs.pages import RunQuery
from service.runs.submission.review import NewRun, check_parts
from worker.spec.run import RunSpec

Labels = Annotated[
    dict[Label, Name],
    Field(max_length=64, description="For finding runs again; they change nothing in the result."),
]
Priority = Annotated[int, Field(ge=-1000, le=1000, description="Higher ones are trained first.")]
MaxSeconds = Annotated[
    float | None,
    Field(
        gt=0,
        allow_inf_nan=False,
        description="How long it may be trained, waiting not counted; then it fails with code time_limit.",
    ),
]


class RunBody(RunSpec):
    """What to train, and what the run is called."""

    name: Name | None = Field(default=None, description="For people.")
    labels: Labels = Field(default={})
    priority: Priority = 0
    max_seconds: MaxSeconds = None

    @staticmethod
    def check_size(text: str) -> None:
        """Refuse a body with more parts than a spec may have, before it is parsed.

        Raises:
            SpecRefused: The body has too many parts.
        """
        check_parts(text)

    def new_run(self) -> NewRun:
        """The run that is asked for."""
        spec = RunSpec.model_construct(**{name: getattr(self, name) for name in RunSpec.model_fields})
        return NewRun(spec, name=self.name, labels=self.labels, priority=self.priority, max_seconds=self.max_seconds)


class ChangeBody(BaseModel):
    """What can be changed of a run that is there: nothing that its result depends on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name | None = None
    labels: Labels = {}
    priority: Priority = 0
    max_seconds: MaxSeconds = None


class CloneBody(BaseModel):
    """A run like another one, but for a merge patch of its spec."""

    model_config = ConfigDict(extra="forbid", strict=True)

    patch: dict[str, JsonValue] = Field(
        default={}, description="RFC 7396; `regularizers_add` appends to the run's regularizers."
    )
    name: Name | None = None
    labels: Labels = {}
    priority: Priority = 0
    max_seconds: MaxSeconds = None


class ExtendBody(BaseModel):
    """How long a finished run is to become."""

    model_config = ConfigDict(extra="forbid", strict=True)

    epochs: Annotated[int, Field(ge=1, le=100_000, description="In all; more than it has.")]


MOST_AT_ONCE = 500


class BulkBody(BaseModel):
    """Several runs at once."""

    model_config = ConfigDict(extra="forbid", strict=True)

    runs: list[RunBody] = Field(min_length=1, max_length=MOST_AT_ONCE)


class CancelBody(BaseModel):
    """Which runs are to end: those with these ids, or those that a filter finds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: list[str] | None = Field(default=None, min_length=1, max_length=MOST_AT_ONCE)
    filter: str | None = Field(default=None, min_length=1, description="As of the list of runs.")

    def wanted(self) -> RunQuery | list[str]:
        """The ids, or what to look for.

        Raises:
            SpecRefused: both or neither was given.
        """
        if self.ids is not None and self.filter is None:
            return self.ids
        if self.filter is not None and self.ids is None:
            return RunQuery(filter=self.filter)
        message = "Give either 'ids' or 'filter'."
        raise SpecRefused.at("", "ids_or_filter", message)


def run_of(body: Mapping[str, Any]) -> NewRun:
    """The run that ``body`` describes.

    Raises:
        SpecRefused: it describes none; every place is named.
    """
    return parse(RunBody, json.dumps(body).encode()).new_run()
