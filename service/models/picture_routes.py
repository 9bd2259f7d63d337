"""Routes of pictures: a run's curves, and images of its dataset with the model's predictions."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import SpecRefused, TookTooLong, Unavailable, Unprocessable
from service.http.conditional import etag, matches, not_modified
from service.http.problems import problems
from service.http.routing import Route
from service.models.dependencies import ModelsDep
from service.models.errors import FileLost
from service.models.parameters import CurveParams, CurveQuery, PredictionsParams
from service.models.service import Canvas, Models
from service.runs.dependencies import RunReaderDep
from service.runs.errors import NotMeasured, NoWeights, RunNotFound, Sealed
from service.runs.parameters import names_in
from service.runs.reader import RunReader
from service.sandbox.predicting.messages import Chosen
from worker.spec.run import RunSpec

router = APIRouter(prefix="/v1/runs", tags=["models"], route_class=Route)
PNG, SVG = "image/png", "image/svg+xml"
PNG_HEADERS = {"x-content-type-options": "nosniff"}
SVG_HEADERS = {**PNG_HEADERS, "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""An SVG that is opened in a window of its own runs no script and fetches nothing, whatever its texts contain."""
REFUSALS = (RunNotFound, NotMeasured, NoWeights, SpecRefused, Unavailable, TookTooLong)


def _picture(media_type: str, *refusals: Any) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that draws."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"description": "The picture.", "content": content},
        304: {"description": "The picture has not changed."},
        **problems(*refusals),
    }


@router.get(
    "/{run_id}/curve.png", operation_id="get_curve_png", response_class=Response, responses=_picture(PNG, *REFUSALS)
)
async def get_curve_png(
    request: Request, run_id: str, query: CurveParams, runs: RunReaderDep, models: ModelsDep
) -> Response:
    """Draw the losses of every epoch as PNG, with the best epoch marked."""
    return await _curve(request, run_id, query, query.canvas("png"), runs, models)


@router.get(
    "/{run_id}/curve.svg", operation_id="get_curve_svg", response_class=Response, responses=_picture(SVG, *REFUSALS)
)
async def get_curve_svg(
    request: Request, run_id: str, query: CurveParams, runs: RunReaderDep, models: ModelsDep
) -> Response:
    """Draw the losses of every epoch as SVG, with the best epoch marked."""
    return await _curve(request, run_id, query, query.canvas("svg"), runs, models)


async def _curve(
    request: Request, run_id: str, query: CurveQuery, canvas: Canvas, runs: RunReader, models: Models
) -> Response:
    run = await run_in_threadpool(runs.get, run_id)
    tag = etag("curve", version("fitwell"), run_id, run.version, query.metrics, *vars(canvas).values())
    if matches(request, tag):
        return not_modified(tag)
    history = await run_in_threadpool(runs.history, run_id)
    picture = await models.curve(run, history, names_in(query.metrics), canvas)
    media_type, headers = (PNG, PNG_HEADERS) if canvas.form == "png" else (SVG, SVG_HEADERS)
    return Response(picture, 200, {**headers, "etag": tag}, media_type)


@router.get(
    "/{run_id}/predictions.png",
    operation_id="get_predictions_png",
    response_class=Response,
    responses=_picture(PNG, *REFUSALS, FileLost, Sealed, Unprocessable),
)
async def get_predictions_png(request: Request, run_id: str, query: PredictionsParams, models: ModelsDep) -> Response:
    """Draw images of the run's data with their true and predicted classes; wrong predictions are marked."""
    model = await run_in_threadpool(models.find, run_id, query.at)
    identity = (run_id, model.title, model.at, model.file.epoch, model.file.sha256)
    drawn = (query.count, query.first, query.split, query.theme, query.wrong)
    tag = etag("predictions", version("fitwell"), *identity, *drawn)
    if matches(request, tag):
        return not_modified(tag)
    dataset = RunSpec.of(model.spec).dataset
    rows = {"train": dataset.training_rows, "val": dataset.validation_rows, "test": dataset.rows[1]}[query.split]
    if query.first >= rows:
        known = f"has rows 0 to {rows - 1}" if rows else "has no rows"
        raise SpecRefused.at("first", "no_such_row", f"The split {query.split!r} has no row {query.first}; it {known}.")
    if query.wrong and not dataset.classes:
        raise NotMeasured(f"{run_id} predicts a number, which is not right or wrong. Leave wrong out.")
    last = query.first + 1 if query.wrong else min(query.first + query.count, rows)
    chosen = Chosen(split=query.split, indices=tuple(range(query.first, last)))
    picture = await models.grid(run_id, query.at, chosen, query.theme, query.count if query.wrong else None)
    return Response(picture, 200, {**PNG_HEADERS, "etag": tag}, PNG)
