"""What was measured of a run: its history in four forms, confusion matrix, weights, and what its curves say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response, StreamingResponse

from service.errors import NotAcceptable, SpecRefused, Unavailable
from service.http.dependencies import etag, matches, not_modified, only
from service.http.problems import problems
from service.runs.dependencies import RunReaderDep
from service.runs.errors import NotMeasured, RunNotFound
from service.runs.history_formats import history_csv, history_ndjson, history_parquet
from service.runs.history_schemas import ConfusionView, DiagnosisView, HistoryList, HistoryView, WeightsView
from service.runs.run import History
from service.runs.thinning import thinned
from service.studies.dependencies import StudiesDep
from service.studies.errors import StudyNotFound

router = APIRouter(prefix="/v1/runs", tags=["runs"])
several = APIRouter(prefix="/v1/histories", tags=["runs"])
Format = Literal["json", "csv", "ndjson", "parquet"]
PARQUET = "application/vnd.apache.parquet"
FORMS: dict[Format, tuple[str, Callable[[History], bytes]]] = {
    "json": ("application/json", lambda history: HistoryView.of(history).model_dump_json().encode()),
    "csv": ("text/csv", history_csv),
    "ndjson": ("application/x-ndjson", history_ndjson),
    "parquet": (PARQUET, history_parquet),
}
MOST_HISTORIES = 5000
Metrics = Annotated[str | None, Query(description="Only these series, separated by commas.")]
Points = Annotated[
    int | None,
    Query(ge=2, le=100_000, description="At most so many epochs, first, last and best among them; default all."),
]


@router.get(
    "/{run_id}/history",
    operation_id="get_history",
    response_model=HistoryView,
    dependencies=[Depends(only("format", "since_epoch", "metrics", "max_points"))],
    responses={
        200: {"content": {"text/csv": {}, "application/x-ndjson": {}, PARQUET: {}}},
        304: {"description": "No epoch has been added."},
        **problems(RunNotFound, NotAcceptable, SpecRefused, Unavailable),
    },
)
def get_history(
    request: Request,
    run_id: str,
    records: RunReaderDep,
    format: Annotated[Format | None, Query(description="Instead of Accept.")] = None,  # noqa: A002
    since_epoch: Annotated[int | None, Query(ge=-1, description="Only epochs behind this one.")] = None,
    metrics: Metrics = None,
    max_points: Points = None,
) -> Response:
    """The losses of every epoch recorded so far, complete unless `max_points` is given; 304 until one is added."""
    form = format or accepted(request.headers.get("accept", "*/*"))
    media_type, written = FORMS[form]
    tag = etag(run_id, records.history_mark(run_id), form, since_epoch, metrics, max_points)
    if matches(request, tag):
        return not_modified(tag=tag, vary="Accept")
    history = records.history(run_id, since_epoch=since_epoch, metrics=_names(metrics))
    if max_points is not None:
        history = thinned(history, max_points)
    headers = {"etag": tag, "vary": "Accept"} | ({"fitwell-downsampled": "true"} if history.downsampled else {})
    return Response(written(history), 200, headers, media_type)


@several.get(
    "",
    operation_id="list_histories",
    response_model=HistoryList,
    dependencies=[Depends(only("study_id", "ids", "metrics", "max_points", "format"))],
    responses={
        200: {"content": {"application/x-ndjson": {}}},
        **problems(RunNotFound, StudyNotFound, NotAcceptable, SpecRefused, Unavailable),
    },
)
def list_histories(
    request: Request,
    records: RunReaderDep,
    studies: StudiesDep,
    study_id: Annotated[str | None, Query(description="Of all runs of a study.")] = None,
    ids: Annotated[str | None, Query(description="Of these runs, separated by commas.")] = None,
    metrics: Metrics = None,
    max_points: Points = None,
    format: Annotated[Literal["json", "ndjson"] | None, Query(description="Instead of Accept.")] = None,  # noqa: A002
) -> Response:
    """Many histories in one answer; as lines of JSON they come one by one."""
    if (study_id is None) == (ids is None):
        message = "Ask for the runs of a study (study_id=…) or for some runs (ids=a,b,…)."
        raise SpecRefused.at("study_id", "study_or_ids", message)
    wanted = [one.strip() for one in ids.split(",")] if ids is not None else studies.run_ids(study_id or "")
    if len(wanted) > MOST_HISTORIES:
        message = f"These are {len(wanted):,} histories; one answer has at most {MOST_HISTORIES:,}."
        raise SpecRefused.at("ids", "too_many", message)
    form = format or accepted(request.headers.get("accept", "*/*"))
    if form not in ("json", "ndjson"):
        raise NotAcceptable(f"Several histories come as JSON or as lines of JSON, not as {form}.")
    for run_id in wanted:
        records.version(run_id)  # a run that is not there is refused before the first line is sent

    def told() -> Iterator[str]:
        for run_id in wanted:
            history = records.history(run_id, metrics=_names(metrics))
            shown = history if max_points is None else thinned(history, max_points)
            yield HistoryView.of(shown).model_dump_json()

    if form == "ndjson":
        return StreamingResponse((line + "\n" for line in told()), media_type="application/x-ndjson")
    return Response(f'{{"object":"list","data":[{",".join(told())}]}}', media_type="application/json")


def _names(metrics: str | None) -> list[str] | None:
    return None if metrics is None else [name.strip() for name in metrics.split(",")]


@router.get(
    "/{run_id}/confusion",
    operation_id="get_confusion",
    response_model=ConfusionView,
    dependencies=[Depends(only())],
    responses=problems(RunNotFound, NotMeasured, SpecRefused, Unavailable),
)
def get_confusion(run_id: str, records: RunReaderDep) -> Response:
    """The confusion matrix of a run that succeeded, on the test rows."""
    return Response(ConfusionView.of(records.confusion(run_id)).model_dump_json(), media_type="application/json")


@router.get(
    "/{run_id}/weights",
    operation_id="get_weights",
    response_model=WeightsView,
    dependencies=[Depends(only())],
    responses=problems(RunNotFound, NotMeasured, SpecRefused, Unavailable),
)
def get_weights(run_id: str, records: RunReaderDep) -> Response:
    """Norm, exact zeros and a histogram of every parameter of a run that has come to its end."""
    run, parameters = records.weights(run_id)
    view = WeightsView(run_id=run_id, epoch=run.epoch, parameters=parameters)
    return Response(view.model_dump_json(), media_type="application/json")


@router.get(
    "/{run_id}/diagnosis",
    operation_id="get_diagnosis",
    response_model=DiagnosisView,
    dependencies=[Depends(only("reference"))],
    responses=problems(RunNotFound, SpecRefused, Unavailable),
)
def get_diagnosis(
    run_id: str,
    records: RunReaderDep,
    reference: Annotated[str | None, Query(description="A run on the same data to compare with.")] = None,
) -> Response:
    """Whether a run fits, underfits, overfits or has diverged, and what to try next; or that it cannot be told."""
    advice = records.diagnosis(run_id, reference=reference)
    return Response(DiagnosisView.of(advice).model_dump_json(), media_type="application/json")


def accepted(accept: str) -> Format:
    """The form that the caller likes best, in the order of its own list; ``*/*`` takes JSON.

    Raises:
        NotAcceptable: there is none among them.
    """
    wanted = []
    for position, one in enumerate(accept.split(",")):
        media_type, *parameters = (text.strip() for text in one.split(";"))
        said = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        weight = float(said) if said.replace(".", "", 1).isdecimal() else 1.0
        wanted.append((-weight, position, media_type))
    for negative, _, media_type in sorted(wanted):
        for form, (known, _) in FORMS.items():
            if negative < 0 and media_type in (known, "*/*", f"{known.partition('/')[0]}/*"):
                return form
    known_types = ", ".join(media_type for media_type, _ in FORMS.values())
    raise NotAcceptable(f"A history comes as {known_types}; {accept!r} accepts none of them. Or say ?format=csv.")
