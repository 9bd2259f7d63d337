"""What was measured of a run: its history, in three forms, its confusion matrix, and what its curves say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from service.api.dependencies import RunsOf, etag, matches, not_modified, only
from service.api.problems import problems
from service.api.views import ConfusionView, DiagnosisView, HistoryView, history_csv, history_ndjson
from service.errors import NotAcceptable, NotMeasured, RunNotFound, SpecRefused, Unavailable
from service.runs.run import History

router = APIRouter(prefix="/v1/runs", tags=["runs"])
Format = Literal["json", "csv", "ndjson"]
FORMS: dict[Format, tuple[str, Callable[[History], str]]] = {
    "json": ("application/json", lambda history: HistoryView.of(history).model_dump_json()),
    "csv": ("text/csv", history_csv),
    "ndjson": ("application/x-ndjson", history_ndjson),
}


@router.get(
    "/{run_id}/history",
    operation_id="get_history",
    response_model=HistoryView,
    dependencies=[Depends(only("format", "since_epoch", "metrics"))],
    responses={
        200: {"content": {"text/csv": {}, "application/x-ndjson": {}}},
        304: {"description": "No epoch has been added."},
        **problems(RunNotFound, NotAcceptable, SpecRefused, Unavailable),
    },
)
def get_history(
    request: Request,
    run_id: str,
    runs: RunsOf,
    format: Annotated[Format | None, Query(description="Instead of Accept.")] = None,  # noqa: A002
    since_epoch: Annotated[int | None, Query(ge=-1, description="Only epochs behind this one.")] = None,
    metrics: Annotated[str | None, Query(description="Only these series, separated by commas.")] = None,
) -> Response:
    """The losses of every epoch recorded so far, complete; 304 until an epoch is added."""
    form = format or _accepted(request.headers.get("accept", "*/*"))
    media_type, written = FORMS[form]
    tag = etag(run_id, runs.history_mark(run_id), form, since_epoch, metrics)
    headers = {"etag": tag, "vary": "Accept"}
    if matches(request, tag):
        return not_modified(tag=tag, vary="Accept")
    names = [name.strip() for name in metrics.split(",")] if metrics is not None else None
    history = runs.history(run_id, since_epoch=since_epoch, metrics=names)
    return Response(written(history), 200, headers, media_type)


@router.get(
    "/{run_id}/confusion",
    operation_id="get_confusion",
    response_model=ConfusionView,
    dependencies=[Depends(only())],
    responses=problems(RunNotFound, NotMeasured, SpecRefused, Unavailable),
)
def get_confusion(run_id: str, runs: RunsOf) -> Response:
    """The confusion matrix of a run that succeeded, on the test rows."""
    return Response(ConfusionView.of(runs.confusion(run_id)).model_dump_json(), media_type="application/json")


@router.get(
    "/{run_id}/diagnosis",
    operation_id="get_diagnosis",
    response_model=DiagnosisView,
    dependencies=[Depends(only("reference"))],
    responses=problems(RunNotFound, SpecRefused, Unavailable),
)
def get_diagnosis(
    run_id: str,
    runs: RunsOf,
    reference: Annotated[str | None, Query(description="A run on the same data to compare with.")] = None,
) -> Response:
    """Whether a run fits, underfits, overfits or has diverged, and what to try next; or that it cannot be told."""
    advice = runs.diagnosis(run_id, reference=reference)
    return Response(DiagnosisView.of(advice).model_dump_json(), media_type="application/json")


def _accepted(accept: str) -> Format:
    """The form that the caller likes best, in the order of its own list; ``*/*`` takes JSON.

    Raises:
        NotAcceptable: there is none among them.
    """
    wanted = []
    for position, one in enumerate(accept.split(",")):
        media_type, *parameters = (text.strip() for text in one.split(";"))
        said = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        weight = float(said) if said.replace(".", "", 1).isdigit() else 1.0
        wanted.append((-weight, position, media_type))
    for negative, _, media_type in sorted(wanted):
        for form, (known, _) in FORMS.items():
            if negative < 0 and media_type in (known, "*/*", f"{known.partition('/')[0]}/*"):
                return form
    known_types = ", ".join(media_type for media_type, _ in FORMS.values())
    raise NotAcceptable(f"A history comes as {known_types}; {accept!r} accepts none of them. Or say ?format=csv.")
