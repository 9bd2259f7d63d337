"""Routes of trained models: their files, and predictions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import (
    BadRequest,
    PreconditionFailed,
    RangeRefused,
    SpecRefused,
    TookTooLong,
    TooLarge,
    Unavailable,
    Unprocessable,
    WrongMediaType,
)
from service.http.bodies import parse, read
from service.http.dependencies import SettingsDep, body_of, only
from service.http.downloads import SENT, sent
from service.http.problems import problems
from service.http.scopes import needs
from service.models.dependencies import ModelsDep
from service.models.errors import FileLost
from service.models.schemas import PredictBody, PredictionsView
from service.models.service import Asked
from service.models.weights import At, Kept
from service.runs.errors import NotMeasured, RunNotFound
from service.sandbox.predicting.messages import Chosen

router = APIRouter(prefix="/v1/runs", tags=["models"])
AtOf = Annotated[
    At,
    Query(description="The model after the best epoch (lowest val.loss; without one, test.loss), or after the last."),
]
DOWNLOADS = (RunNotFound, NotMeasured, FileLost, PreconditionFailed, RangeRefused, SpecRefused, Unavailable)
EXAMPLE: dict[str, Any] = {"split": "test", "indices": [0, 1, 2]}


def _name(kept: Kept, suffix: str) -> str:
    return f"{kept.run_id}-{kept.at}-epoch{kept.file.epoch:06d}.{suffix}"


@router.head("/{run_id}/model.safetensors", include_in_schema=False, dependencies=[Depends(only("at"))])
@router.get(
    "/{run_id}/model.safetensors",
    operation_id="get_model_safetensors",
    dependencies=[Depends(only("at"))],
    response_class=Response,
    responses={**SENT, **problems(*DOWNLOADS)},
)
def get_model_safetensors(request: Request, run_id: str, models: ModelsDep, at: AtOf = "best") -> Response:
    """A model's parameters and buffers by name, as the worker wrote them. The ETag is the file's SHA-256."""
    kept, file = models.weights(run_id, at)
    return sent(request, file, kept.file.sha256, _name(kept, "safetensors"))


@router.head("/{run_id}/model.onnx", include_in_schema=False, dependencies=[Depends(only("at"))])
@router.get(
    "/{run_id}/model.onnx",
    operation_id="get_model_onnx",
    dependencies=[Depends(only("at"))],
    response_class=Response,
    responses={**SENT, **problems(*DOWNLOADS, Unprocessable, TookTooLong)},
)
async def get_model_onnx(request: Request, run_id: str, models: ModelsDep, at: AtOf = "best") -> Response:
    """The model as ONNX: rows as the dataset has them in, logits and probabilities out; it scales rows itself."""
    kept, file, sha256 = await models.onnx(run_id, at)
    return sent(request, file, sha256, _name(kept, "onnx"))


@router.post(
    "/{run_id}/predict",
    operation_id="predict_run",
    dependencies=[Depends(only("at"))],
    response_model=PredictionsView,
    openapi_extra={**body_of("PredictBody", EXAMPLE), **needs("read")},
    responses=problems(
        RunNotFound,
        NotMeasured,
        FileLost,
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
    request: Request, run_id: str, models: ModelsDep, settings: SettingsDep, at: AtOf = "best"
) -> Response:
    """What a trained model makes of rows: probabilities of every class, and the most probable one."""
    content = await read(request, settings.max_predict_body_bytes, "FITWELL_MAX_PREDICT_BODY_BYTES")

    def asked() -> Asked:
        body = parse(PredictBody, content)
        return body.inputs, _chosen(body, settings.max_predict_rows)

    found = await models.predict(run_id, at, asked)
    view = await run_in_threadpool(PredictionsView.of, found)
    return Response(view.model_dump_json(), media_type="application/json")


def _chosen(body: PredictBody, most: int) -> Chosen | None:
    """The rows of the dataset that are asked for; None where rows were sent along.

    Raises:
        SpecRefused: neither is so, or both, or they are too many.
    """
    if (body.inputs is None) == (body.split is None) or (body.split is None) != (body.indices is None):
        message = 'Send rows as "inputs", or name rows of the dataset by "split" and "indices"; one of both.'
        raise SpecRefused.at("", "inputs_or_split", message)
    if body.split is None or body.indices is None:
        return None
    if not 1 <= len(body.indices) <= most:
        message = (
            f"These are {len(body.indices):,} rows; one request predicts 1 to {most:,} (FITWELL_MAX_PREDICT_ROWS)."
        )
        raise SpecRefused.at("/indices", "wrong_count", message)
    return Chosen(split=body.split, indices=tuple(body.indices))
