"""The route that compares runs, whether or not they belong to a study."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from service.errors import SpecRefused, Unavailable
from service.http.parameters import QueryModel
from service.http.problems import problems
from service.http.routing import Route
from service.runs.comparison import MAX_COMPARED
from service.runs.comparison_schemas import RunComparisonView
from service.runs.dependencies import RunReaderDep
from service.runs.errors import RunNotFound
from service.runs.parameters import names_in

router = APIRouter(prefix="/v1/run_comparison", tags=["runs"], route_class=Route)


class RunComparisonQuery(QueryModel):
    """The runs to compare."""

    ids: str = Field(description=f"Ids of up to {MAX_COMPARED} runs, separated by commas; the first is the reference.")


@router.get(
    "",
    operation_id="compare_runs",
    responses=problems(RunNotFound, SpecRefused, Unavailable),
)
def compare_runs(query: Annotated[RunComparisonQuery, Query()], reader: RunReaderDep) -> RunComparisonView:
    """Compare any runs: what their specs differ in, their figures, and which series are like for like."""
    return RunComparisonView.of(reader.comparison(names_in(query.ids) or []))
