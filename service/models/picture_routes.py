"""Routes of pictures: a run's curves, and images of its dataset with what the model takes them for."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import SpecRefused, TookTooLong, Unavailable, Unprocessable
from service.http.dependencies import etag, matches, not_modified, only
from service.http.problems import problems
from service.models.dependencies import ModelsDep
from service.models.errors import FileLost
from service.models.routes import AtOf
from service.models.service import Canvas, Models
from service.runs.dependencies import RunReaderDep
from service.runs.errors import NotMeasured, RunNotFound
from service.runs.reader import RunReader
from service.sandbox.predicting.messages import Chosen, Split, Theme
from worker.spec.run import RunSpec

router = APIRouter(prefix="/v1/runs", tags=["models"])
PNG, SVG = "image/png", "image/svg+xml"
SAFE = {"x-content-type-options": "nosniff"}
SAFE_SVG = {**SAFE, "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""An SVG that is opened in a window of its own runs nothing and fetches nothing, whatever its texts say."""
ThemeOf = Annotated[Theme, Query(description="A light or a dark ground.")]
Metrics = Annotated[
    str | None, Query(description="Series to draw, separated by commas; by default the losses.", max_length=2000)
]
Width = Annotated[int, Query(ge=320, le=3000, description="In pixels.")]
Height = Annotated[int, Query(ge=240, le=2000, description="In pixels.")]
Log = Annotated[bool, Query(description="Losses on a logarithmic scale.")]
CURVE = ("metrics", "width", "height", "log", "theme")


def _picture(media_type: str, *refusals: Any) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that draws."""
    drawn = {"description": "The picture.", "content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}
    return {200: drawn, 304: {"description": "It would be the same."}, **problems(*refusals)}


DRAWN = (RunNotFound, NotMeasured, SpecRefused, Unavailable, TookTooLong)


@router.get(
    "/{run_id}/curve.png",
    operation_id="get_curve_png",
    dependencies=[Depends(only(*CURVE))],
    response_class=Response,
    responses=_picture(PNG, *DRAWN),
)
async def get_curve_png(
    request: Request,
    run_id: str,
    records: RunReaderDep,
    models: ModelsDep,
    metrics: Metrics = None,
    width: Width = 900,
    height: Height = 540,
    log: Log = False,
    theme: ThemeOf = "light",
) -> Response:
    """The losses of every epoch as a picture, the best epoch marked."""
    canvas = Canvas(form="png", width=width, height=height, log=log, theme=theme)
    return await _curve(request, run_id, records, models, metrics, canvas)


@router.get(
    "/{run_id}/curve.svg",
    operation_id="get_curve_svg",
    dependencies=[Depends(only(*CURVE))],
    response_class=Response,
    responses=_picture(SVG, *DRAWN),
)
async def get_curve_svg(
    request: Request,
    run_id: str,
    records: RunReaderDep,
    models: ModelsDep,
    metrics: Metrics = None,
    width: Width = 900,
    height: Height = 540,
    log: Log = False,
    theme: ThemeOf = "light",
) -> Response:
    """The same as SVG."""
    canvas = Canvas(form="svg", width=width, height=height, log=log, theme=theme)
    return await _curve(request, run_id, records, models, metrics, canvas)


async def _curve(
    request: Request, run_id: str, records: RunReader, models: Models, metrics: str | None, canvas: Canvas
) -> Response:
    run = await run_in_threadpool(records.get, run_id)
    tag = etag("curve", version("fitwell"), run_id, run.version, metrics, *vars(canvas).values())
    if matches(request, tag):
        return not_modified(tag)
    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    history = await run_in_threadpool(records.history, run_id)
    picture = await models.curve(run, history, names, canvas)
    media_type, headers = (PNG, SAFE) if canvas.form == "png" else (SVG, SAFE_SVG)
    return Response(picture, 200, {**headers, "etag": tag}, media_type)


@router.get(
    "/{run_id}/predictions.png",
    operation_id="get_predictions_png",
    dependencies=[Depends(only("count", "first", "split", "at", "theme"))],
    response_class=Response,
    responses=_picture(PNG, *DRAWN, FileLost, Unprocessable),
)
async def get_predictions_png(
    request: Request,
    run_id: str,
    models: ModelsDep,
    count: Annotated[int, Query(ge=1, le=100, description="How many images, at most.")] = 10,
    first: Annotated[int, Query(ge=0, le=2**31, description="The first of them, from 0.")] = 0,
    split: Annotated[Split, Query(description="The part of the dataset.")] = "test",
    at: AtOf = "best",
    theme: ThemeOf = "light",
) -> Response:
    """Images of the run's data with their true classes and those that the model gives them; wrong ones are marked."""
    kept = await run_in_threadpool(models.find, run_id, at)
    of_model = (run_id, kept.title, kept.at, kept.file.epoch, kept.file.sha256)
    tag = etag("predictions", version("fitwell"), *of_model, count, first, split, theme)
    if matches(request, tag):
        return not_modified(tag)
    dataset = RunSpec.of(kept.spec).dataset
    rows = {"train": dataset.training_rows, "val": dataset.validation_rows, "test": dataset.rows[1]}[split]
    if first >= rows:
        known = f"are 0 to {rows - 1}" if rows else "are none"
        message = f"There is no row {first}: the rows of {split!r} {known}."
        raise SpecRefused.at("first", "no_such_row", message)
    chosen = Chosen(split=split, indices=tuple(range(first, min(first + count, rows))))
    picture = await models.grid(run_id, at, chosen, theme)
    return Response(picture, 200, {**SAFE, "etag": tag}, PNG)
