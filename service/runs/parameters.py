"""Query parameters of runs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field

from service.errors import SpecRefused
from service.http.parameters import Cursor, Limit, QueryModel
from service.runs.pages import NEWEST_FIRST, RunQuery
from service.runs.schemas import RunView
from service.runs.states import Status

Format = Literal["json", "csv", "ndjson", "parquet"]
Metrics = Annotated[str | None, Field(description="Only these series, separated by commas.")]
MaxPoints = Annotated[
    int | None,
    Field(
        ge=2,
        le=100_000,
        description="At most this many epochs, with first, last, best and extreme ones; all if left out.",
    ),
]


class ReuseQuery(QueryModel):
    """Whether results may be taken over."""

    reuse: bool = Field(default=True, description="Take over the result of an equal finished run.")


class CreateRunQuery(QueryModel):
    """How to submit a run."""

    validate_only: bool = Field(default=False, description="Check and resolve the spec without queuing a run.")
    reuse: bool = Field(default=True, description="Take over the result of an equal finished run.")


class CreateRunsQuery(QueryModel):
    """How to submit several runs."""

    reuse: bool = Field(default=True, description="Take over the results of equal finished runs.")


class RunListQuery(QueryModel):
    """Filters, order and page of the list of runs."""

    status: list[Status] = Field(default=[], description="Any of these.")
    study_id: str | None = None
    name: str | None = None
    filter: str | None = Field(
        default=None,
        description="Comparisons of fields with values (`=`, `!=`, `<`, `<=`, `>`, `>=`; `~`: contains), AND, OR, NOT, "
        "parentheses.",
        examples=['status = "succeeded" AND (spec.optimizer.lr >= 0.1 OR labels.course = "dl")'],
    )
    sort: str = Field(
        default=NEWEST_FIRST,
        description="A number to sort by, with - for descending order: created_at, best.value, last.val.loss.",
    )
    fields: str | None = Field(default=None, description="Only these fields of a run, separated by commas.")
    limit: Limit = 20
    after: Cursor = None
    label: list[str] = Field(default=[], description="`key=value`; the run must have all of them.")

    def run_query(self) -> RunQuery:
        """Return the query for the service.

        Raises:
            SpecRefused: A label has no value.
        """
        return RunQuery(
            status=self.status,
            label=self._labels(),
            study_id=self.study_id,
            name=self.name,
            filter=self.filter,
            sort=self.sort,
            limit=self.limit,
            after=self.after,
        )

    def field_names(self) -> set[str] | None:
        """Return the requested fields and the id; None for all fields.

        Raises:
            SpecRefused: A run has no such field.
        """
        if self.fields is None:
            return None
        names = {name.strip() for name in self.fields.split(",")}
        unknown = sorted(names - RunView.model_fields.keys())
        if unknown:
            message = f"Unknown field {unknown[0]!r}. Known: {', '.join(RunView.model_fields)}."
            raise SpecRefused.at("fields", "no_such_field", message, allowed=list(RunView.model_fields))
        return {"id", *names}

    def _labels(self) -> dict[str, str]:
        pairs = [one.partition("=") for one in self.label]
        malformed = [key for key, equals, _ in pairs if not equals]
        if malformed:
            raise SpecRefused.at("label", "label_malformed", f"Label {malformed[0]!r} has no '='; write key=value.")
        return {key: value for key, _, value in pairs}


class HistoryQuery(QueryModel):
    """Which part of a history to return, and in which format."""

    format: Format | None = Field(default=None, description="Overrides Accept.")
    since_epoch: int | None = Field(default=None, ge=-1, description="Only later epochs.")
    metrics: Metrics = None
    max_points: MaxPoints = None


class DiagnosisQuery(QueryModel):
    """The run to compare with."""

    reference: str | None = Field(default=None, description="A run on the same data to compare with.")


class LogQuery(QueryModel):
    """A page of a log, oldest first."""

    after: int = Field(default=0, ge=0, le=2**63 - 1, description="Only lines after this id.")
    limit: Limit = 100


ReuseParams = Annotated[ReuseQuery, Query()]


def names_in(text: str | None) -> list[str] | None:
    """Return the names in a comma-separated list; None if the parameter was left out."""
    return None if text is None else [name.strip() for name in text.split(",")]
