"""Routes of a run's history, and of what its curves show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.errors import NotAcceptable, SpecRefused, Unavailable
from service.http.conditional import etag, matches, not_modified
from service.http.negotiation import preferred
from service.http.problems import problems
from service.http.routing import Route
from service.runs.dependencies import RunReaderDep
from service.runs.errors import RunNotFound
from service.runs.history_formats import history_csv, history_ndjson, history_parquet
from service.runs.history_schemas import DiagnosisView, HistoryView
from service.runs.parameters import DiagnosisQuery, Format, HistoryQuery, names_in
from service.runs.run import History
from service.runs.thinning import thinned

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=Route)
PARQUET = "application/vnd.apache.parquet"
FORMATS: dict[Format, tuple[str, Callable[[History], bytes]]] = {
    "json": ("application/json", lambda history: HistoryView.of(history).model_dump_json().encode()),
    "csv": ("text/csv", history_csv),
    "ndjson": ("application/x-ndjson", history_ndjson),
    "parquet": (PARQUET, history_parquet),
}


@router.get(
    "/{run_id}/history",
    operation_id="get_history",
    response_model=HistoryView,
    responses={
        200: {"content": {"text/csv": {}, "application/x-ndjson": {}, PARQUET: {}}},
        304: {"description": "No epoch has been added."},
        **problems(RunNotFound, NotAcceptable, SpecRefused, Unavailable),
    },
)
def get_history(request: Request, run_id: str, query: Annotated[HistoryQuery, Query()], runs: RunReaderDep) -> Response:
    """Return the losses of every epoch recorded so far, all of them unless `max_points` is set."""
    history_format = query.format or accepted_format(request.headers.get("accept", "*/*"))
    media_type, render = FORMATS[history_format]
    mark = runs.history_mark(run_id)
    tag = etag(run_id, mark, history_format, query.since_epoch, query.metrics, query.max_points)
    if matches(request, tag):
        return not_modified(tag=tag, vary="Accept")
    history = runs.history(run_id, since_epoch=query.since_epoch, metrics=names_in(query.metrics))
    if query.max_points is not None:
        history = thinned(history, query.max_points)
    headers = {"etag": tag, "vary": "Accept"} | ({"fitwell-downsampled": "true"} if history.downsampled else {})
    return Response(render(history), 200, headers, media_type)


@router.get(
    "/{run_id}/diagnosis",
    operation_id="get_diagnosis",
    responses=problems(RunNotFound, SpecRefused, Unavailable),
)
def get_diagnosis(run_id: str, query: Annotated[DiagnosisQuery, Query()], runs: RunReaderDep) -> DiagnosisView:
    """Return whether a run fits, underfits, overfits, has diverged or cannot be diagnosed, and what to try next."""
    return DiagnosisView.of(runs.diagnosis(run_id, reference=query.reference))


def accepted_format(accept: str) -> Format:
    """Return the format that the client prefers; ``*/*`` means JSON.

    Raises:
        NotAcceptable: ``accept`` names none of the formats.
    """
    formats = {media_type: name for name, (media_type, _) in FORMATS.items()}
    media_type = preferred(accept, list(formats))
    if media_type is None:
        known = ", ".join(formats)
        raise NotAcceptable(f"A history is available as {known}, not as {accept!r}. Or set ?format=csv.")
    return formats[media_type]
