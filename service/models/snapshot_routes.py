"""Routes of the confusion matrix and the parameters of a run's model."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import SpecRefused, TookTooLong, Unavailable, Unprocessable
from service.http.conditional import etag, matches, not_modified
from service.http.problems import problems
from service.http.routing import Route
from service.models.dependencies import ModelsDep
from service.models.errors import FileLost
from service.models.parameters import SnapshotParams
from service.models.service import Models
from service.models.snapshots import confusion_at, parameters_at
from service.runs.dependencies import RunReaderDep
from service.runs.errors import NotMeasured, NoWeights, RunNotFound, Sealed
from service.runs.history_schemas import ConfusionView, WeightsView
from service.runs.saved_weights import At

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=Route)
REFUSALS = (RunNotFound, NotMeasured, NoWeights, FileLost, SpecRefused, Unprocessable, Unavailable, TookTooLong)


@router.get(
    "/{run_id}/confusion",
    operation_id="get_confusion",
    response_model=ConfusionView,
    responses={304: {"description": "The matrix has not changed."}, **problems(*REFUSALS, Sealed)},
)
async def get_confusion(
    request: Request, run_id: str, query: SnapshotParams, runs: RunReaderDep, models: ModelsDep
) -> Response:
    """Return the confusion matrix of a run that succeeded, on the test rows."""
    tag = await _tag(models, "confusion", run_id, query.at)
    if tag is not None and matches(request, tag):
        return not_modified(tag)
    return _json(ConfusionView.of(await confusion_at(models, runs, run_id, query.at)), tag)


@router.get(
    "/{run_id}/weights",
    operation_id="get_weights",
    response_model=WeightsView,
    responses={304: {"description": "The weights have not changed."}, **problems(*REFUSALS)},
)
async def get_weights(
    request: Request, run_id: str, query: SnapshotParams, runs: RunReaderDep, models: ModelsDep
) -> Response:
    """Return the norm, the exact zeros and a histogram of every parameter of a finished run."""
    tag = await _tag(models, "weights", run_id, query.at)
    if tag is not None and matches(request, tag):
        return not_modified(tag)
    epoch, summaries = await parameters_at(models, runs, run_id, query.at)
    return _json(WeightsView.model_validate({"run_id": run_id, "epoch": epoch, "parameters": summaries}), tag)


async def _tag(models: Models, kind: str, run_id: str, at: At) -> str | None:
    """Return the ETag of what is computed from a file of weights; None for the last epoch, which is only read."""
    if at == "last":
        return None
    model = await run_in_threadpool(models.find, run_id, at)
    return etag(kind, version("fitwell"), run_id, at, model.file.sha256)


def _json(view: BaseModel, tag: str | None) -> Response:
    headers = {} if tag is None else {"etag": tag}
    return Response(view.model_dump_json(), headers=headers, media_type="application/json")
