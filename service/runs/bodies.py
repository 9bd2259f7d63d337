"""Request bodies of runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue

from service.errors import SpecRefused
from service.http.bodies import BodyModel, parse
from service.runs.pages import RunQuery
from service.runs.run import RunMetadata
from service.runs.submission.new_run import NewRun
from service.runs.submission.review import check_parts
from worker.spec.run import RunSpec
from worker.spec.stops import AnyStop

EXAMPLE: dict[str, Any] = {
    "dataset": {"kind": "digits"},
    "model": {"kind": "mlp", "hidden": [128, 128]},
    "regularizers": [{"kind": "dropout", "p": 0.4}],
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 20,
    "seed": 0,
}
MAX_BULK_RUNS = 500


class RunBody(RunMetadata, RunSpec):
    """A run to train: its spec and its metadata."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    @staticmethod
    def check_size(text: str) -> None:
        """Refuse a body with more parts than a spec may have, before it is parsed.

        Raises:
            SpecRefused: The body has too many parts.
        """
        check_parts(text)

    def new_run(self) -> NewRun:
        """Return the requested run."""
        spec = RunSpec.model_construct(**{name: getattr(self, name) for name in RunSpec.model_fields})
        metadata = RunMetadata.model_construct(**{name: getattr(self, name) for name in RunMetadata.model_fields})
        return NewRun(spec, metadata)


class ChangeBody(RunMetadata, BodyModel):
    """Changes to the metadata of an existing run."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"priority": 5}]})


class CloneBody(RunMetadata, BodyModel):
    """A run like another one, with a merge patch of its spec."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"patch": {"optimizer": {"lr": 0.05}, "seed": 1}}]})

    patch: dict[str, JsonValue] = Field(
        default={}, description="RFC 7396; `regularizers_add` appends to the run's regularizers."
    )


class ExtendBody(BodyModel):
    """The new length of a finished run, and its stop rules from there on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"epochs": 90}, {"stop": []}]})

    epochs: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="Epochs in total, more than the run has; null is the number in its spec."
    )
    stop: tuple[AnyStop, ...] | None = Field(
        default=None,
        max_length=16,
        description="Stop rules that replace those of the run; null keeps them. They must not end it earlier.",
    )


class BulkBody(BodyModel):
    """Several runs at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"runs": [EXAMPLE, {**EXAMPLE, "seed": 1}]}]})

    runs: list[RunBody] = Field(min_length=1, max_length=MAX_BULK_RUNS)


class CancelBody(BodyModel):
    """The runs to cancel: by id, or all that match a filter."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"filter": 'labels.course = "dl"'}]})

    ids: list[str] | None = Field(default=None, min_length=1, max_length=MAX_BULK_RUNS)
    filter: str | None = Field(default=None, min_length=1, description="As in the list of runs.")

    def selection(self) -> RunQuery | list[str]:
        """Return the ids, or the query that selects the runs.

        Raises:
            SpecRefused: The body has both or neither.
        """
        if self.ids is not None and self.filter is None:
            return self.ids
        if self.filter is not None and self.ids is None:
            return RunQuery(filter=self.filter)
        raise SpecRefused.at("", "ids_or_filter", "Send either 'ids' or 'filter'.")


def run_of(body: Mapping[str, Any]) -> NewRun:
    """Return the run that ``body`` describes.

    Raises:
        SpecRefused: The body is invalid; every invalid place is listed.
    """
    return parse(RunBody, json.dumps(body).encode()).new_run()
