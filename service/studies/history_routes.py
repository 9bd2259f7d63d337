"""The route of many histories at once: those of a study, or of some runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from service.errors import NotAcceptable, SpecRefused, Unavailable
from service.http.parameters import QueryModel
from service.http.problems import problems
from service.http.routing import Route
from service.runs.dependencies import RunReaderDep
from service.runs.errors import RunNotFound
from service.runs.history_routes import accepted_format
from service.runs.history_schemas import HistoryList, HistoryView
from service.runs.parameters import MaxPoints, Metrics, names_in
from service.runs.reader import RunReader
from service.runs.thinning import thinned
from service.studies.dependencies import StudiesDep
from service.studies.errors import StudyNotFound

router = APIRouter(prefix="/v1/histories", tags=["runs"], route_class=Route)
MAX_HISTORIES = 5000


class HistoriesQuery(QueryModel):
    """Which histories to return, and in which format."""

    study_id: str | None = Field(default=None, description="All runs of a study.")
    ids: str | None = Field(default=None, description="These runs, separated by commas.")
    metrics: Metrics = None
    max_points: MaxPoints = None
    format: Literal["json", "ndjson"] | None = Field(default=None, description="Overrides Accept.")


@router.get(
    "",
    operation_id="list_histories",
    response_model=HistoryList,
    responses={
        200: {"content": {"application/x-ndjson": {}}},
        **problems(RunNotFound, StudyNotFound, NotAcceptable, SpecRefused, Unavailable),
    },
)
def list_histories(
    request: Request, query: Annotated[HistoriesQuery, Query()], runs: RunReaderDep, studies: StudiesDep
) -> Response:
    """Return many histories in one response; as lines of JSON they are streamed one by one."""
    if (query.study_id is None) == (query.ids is None):
        raise SpecRefused.at("study_id", "study_or_ids", "Set either study_id=… or ids=a,b,….")
    ids = studies.run_ids(query.study_id) if query.study_id is not None else names_in(query.ids) or []
    if len(ids) > MAX_HISTORIES:
        message = f"These are {len(ids):,} histories; one response has at most {MAX_HISTORIES:,}."
        raise SpecRefused.at("ids", "too_many", message)
    history_format = query.format or accepted_format(request.headers.get("accept", "*/*"))
    if history_format not in ("json", "ndjson"):
        raise NotAcceptable(f"Several histories are available as JSON or lines of JSON, not as {history_format}.")
    for run_id in ids:
        runs.version(run_id)  # an unknown run must be refused before the first line is sent
    lines = _lines(runs, ids, query)
    if history_format == "ndjson":
        return StreamingResponse((line + "\n" for line in lines), media_type="application/x-ndjson")
    return Response(f'{{"object":"list","data":[{",".join(lines)}]}}', media_type="application/json")


def _lines(runs: RunReader, ids: list[str], query: HistoriesQuery) -> Iterator[str]:
    for run_id in ids:
        history = runs.history(run_id, metrics=names_in(query.metrics))
        if query.max_points is not None:
            history = thinned(history, query.max_points)
        yield HistoryView.of(history).model_dump_json()
