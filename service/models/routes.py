"""Routes of trained models: their files, and predictions."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Body, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import (
    BadRequest,
    DataRefused,
    PreconditionFailed,
    RangeRefused,
    SpecRefused,
    TookTooLong,
    TooLarge,
    Unavailable,
    Unprocessable,
    WrongMediaType,
)
from service.http.bodies import FileBody, Unparsed
from service.http.body_stream import media_type, save_body
from service.http.conditional import etag, matches, not_modified
from service.http.dependencies import SettingsDep
from service.http.downloads import FILE_RESPONSES, file_response, file_responses
from service.http.problems import problems
from service.http.routing import Route
from service.http.scopes import needs
from service.models.calibration_schemas import CalibrationView
from service.models.dependencies import FilesDep, ModelsDep
from service.models.errors import FileLost
from service.models.file_routes import FILE_BODY
from service.models.file_types import FILE_TYPES
from service.models.parameters import CalibrationParams, FileParams, ModelParams
from service.models.schemas import PredictBody, PredictionsView
from service.models.service import RequestedRows
from service.models.weights import ModelWeights
from service.runs.errors import NotMeasured, NoWeights, RunNotFound, Sealed

router = APIRouter(prefix="/v1/runs", tags=["models"], route_class=Route)
FILE_REFUSALS = (RunNotFound, NoWeights, FileLost, PreconditionFailed, RangeRefused, SpecRefused, Unavailable)

SOURCE_TYPE = "text/x-python"
SOURCE_RESPONSES = file_responses(SOURCE_TYPE)


def _file_name(model: ModelWeights, suffix: str) -> str:
    return f"{model.run_id}-{model.at}-epoch{model.file.epoch:06d}.{suffix}"


@router.head("/{run_id}/model.safetensors", include_in_schema=False)
@router.get(
    "/{run_id}/model.safetensors",
    operation_id="get_model_safetensors",
    response_class=Response,
    responses={**FILE_RESPONSES, **problems(*FILE_REFUSALS)},
)
def get_model_safetensors(request: Request, run_id: str, query: ModelParams, models: ModelsDep) -> Response:
    """Download a model's parameters and buffers by name, as the worker wrote them. The ETag is the file's SHA-256."""
    model, file = models.weights(run_id, query.at)
    return file_response(request, file, model.file.sha256, _file_name(model, "safetensors"))


@router.head("/{run_id}/model.onnx", include_in_schema=False)
@router.get(
    "/{run_id}/model.onnx",
    operation_id="get_model_onnx",
    response_class=Response,
    responses={**FILE_RESPONSES, **problems(*FILE_REFUSALS, Unprocessable, TookTooLong)},
)
async def get_model_onnx(request: Request, run_id: str, query: ModelParams, models: ModelsDep) -> Response:
    """Download the model as ONNX: unscaled rows of the dataset in, logits and probabilities out."""
    model, file, sha256 = await models.export(run_id, query.at, "onnx")
    return file_response(request, file, sha256, _file_name(model, "onnx"))


@router.head("/{run_id}/model.py", include_in_schema=False)
@router.get(
    "/{run_id}/model.py",
    operation_id="get_model_source",
    response_class=Response,
    responses={**SOURCE_RESPONSES, **problems(*FILE_REFUSALS, Unprocessable, TookTooLong)},
)
async def get_model_source(request: Request, run_id: str, query: ModelParams, models: ModelsDep) -> Response:
    """Download the network as a Python file that needs only PyTorch and safetensors, and loads `model.safetensors`."""
    model, file, sha256 = await models.export(run_id, query.at, "py")
    return file_response(request, file, sha256, _file_name(model, "py"), SOURCE_TYPE)


@router.post(
    "/{run_id}/predict",
    operation_id="predict_run",
    response_model=PredictionsView,
    openapi_extra={**needs("read"), "requestBody": FILE_BODY},
    responses=problems(
        DataRefused,
        RunNotFound,
        NotMeasured,
        NoWeights,
        FileLost,
        Sealed,
        BadRequest,
        TooLarge,
        WrongMediaType,
        SpecRefused,
        Unprocessable,
        Unavailable,
        TookTooLong,
    ),
)
async def predict(
    request: Request,
    run_id: str,
    body: Annotated[Unparsed[PredictBody], Body()],
    query: FileParams,
    models: ModelsDep,
    files: FilesDep,
    settings: SettingsDep,
) -> Response:
    """Predict rows: the probability of every class, and the most probable one.

    Rows of a typed table may also be sent as a CSV or Parquet file with the columns that the model uses.
    """
    if isinstance(body, FileBody):
        with models.scratch.directory() as directory:
            await save_body(request, directory.body, settings.max_upload_bytes)
            options = query.options(FILE_TYPES[media_type(request)])
            predictions = await files.predict(run_id, query.at, directory, options)
        return Response(await run_in_threadpool(PredictionsView.render, predictions), media_type="application/json")

    def rows() -> RequestedRows:  # called once there is memory for it: parsed JSON is fifty times as large as its text
        parsed = body.parse()
        return parsed.inputs, parsed.selection(settings.max_predict_rows)

    predictions = await models.predict(run_id, query.at, rows)
    return Response(await run_in_threadpool(PredictionsView.render, predictions), media_type="application/json")


@router.get(
    "/{run_id}/calibration",
    operation_id="get_calibration",
    response_model=CalibrationView,
    responses={
        304: {"description": "The calibration has not changed."},
        **problems(
            RunNotFound, NotMeasured, NoWeights, FileLost, Sealed, SpecRefused, Unprocessable, Unavailable, TookTooLong
        ),
    },
)
async def get_calibration(request: Request, run_id: str, query: CalibrationParams, models: ModelsDep) -> Response:
    """Return how far a model's probabilities can be trusted, by bins of confidence, on the true labels of a split.

    Labels are those without label noise.
    """
    model = await run_in_threadpool(models.find, run_id, query.at)
    tag = etag("calibration", version("fitwell"), run_id, query.at, model.file.sha256, query.split, query.bins)
    if matches(request, tag):
        return not_modified(tag)
    measured = await models.calibration(run_id, query.at, query.split, query.bins)
    content = CalibrationView.of(measured).model_dump_json()
    return Response(content, headers={"etag": tag}, media_type="application/json")
