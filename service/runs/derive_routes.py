"""Routes that make a run of a run: clone it with a patch, extend it, verify it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import BadRequest, KeyReused, SpecRefused, StorageFull, TooLarge, Unavailable, WrongMediaType
from service.http.bodies import parse, read
from service.http.dependencies import IdempotencyKey, SettingsDep, body_of, key_of, made, only
from service.http.problems import problems
from service.runs.bodies import CloneBody, ExtendBody, run_of
from service.runs.dependencies import RunReaderDep, RunsDep
from service.runs.errors import NotMeasured, RunNotFound, TransitionRefused
from service.runs.patches import patched
from service.runs.schemas import RunView
from service.runs.verification_schemas import VerificationView

router = APIRouter(prefix="/v1/runs", tags=["runs"])
JSON = "application/json"


@router.post(
    "/{run_id}/clone",
    operation_id="clone_run",
    status_code=201,
    response_model=RunView,
    dependencies=[Depends(only("reuse"))],
    openapi_extra=body_of("CloneBody", {"patch": {"optimizer": {"lr": 0.05}, "seed": 1}}),
    responses={
        200: {"model": RunView, "description": "A new run with the result of an equal one."},
        **problems(RunNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable, StorageFull),
    },
)
async def clone_run(
    request: Request,
    run_id: str,
    runs: RunsDep,
    settings: SettingsDep,
    reuse: Annotated[bool, Query(description="Take over the result of an equal run that has finished.")] = True,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a run like this one, but for a merge patch of its spec."""
    body = await read(request, settings.max_body_bytes)
    asked = parse(CloneBody, body)
    old = await run_in_threadpool(runs.get, run_id)
    more = asked.model_dump(exclude={"patch"})
    new = run_of({**patched(old.spec, asked.patch), **more})
    key = key_of(request, idempotency_key, body)
    answer = await run_in_threadpool(
        runs.submit, new, respond=lambda run: RunView.of(run).json_text(), reuse=reuse, key=key
    )
    return made(answer, "/v1/runs")


@router.post(
    "/{run_id}/extend",
    operation_id="extend_run",
    status_code=201,
    response_model=RunView,
    dependencies=[Depends(only())],
    openapi_extra=body_of("ExtendBody", {"epochs": 90}),
    responses={
        200: {"model": RunView, "description": "A new run with the result of an equal one."},
        **problems(
            RunNotFound,
            TransitionRefused,
            BadRequest,
            TooLarge,
            WrongMediaType,
            SpecRefused,
            KeyReused,
            Unavailable,
            StorageFull,
        ),
    },
)
async def extend_run(
    request: Request, run_id: str, runs: RunsDep, settings: SettingsDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Let a run that succeeded go on for more epochs, as a run of its own; its bits are those of one so long."""
    body = await read(request, settings.max_body_bytes)
    epochs = parse(ExtendBody, body).epochs
    key = key_of(request, idempotency_key, body)
    answer = await run_in_threadpool(
        runs.extend, run_id, epochs, respond=lambda run: RunView.of(run).json_text(), key=key
    )
    return made(answer, "/v1/runs")


@router.post(
    "/{run_id}/verify",
    operation_id="verify_run",
    status_code=202,
    response_model=VerificationView,
    dependencies=[Depends(only())],
    responses={
        200: {"model": VerificationView, "description": "It was verified, or is being verified, already."},
        **problems(RunNotFound, TransitionRefused, SpecRefused, Unavailable, StorageFull),
    },
)
def verify_run(run_id: str, runs: RunsDep) -> Response:
    """Train a run once more, and compare every bit of every epoch."""
    verification, begun = runs.verify(run_id)
    return Response(VerificationView.of(verification).model_dump_json(), 202 if begun else 200, media_type=JSON)


@router.get(
    "/{run_id}/verification",
    operation_id="get_verification",
    response_model=VerificationView,
    dependencies=[Depends(only())],
    responses=problems(RunNotFound, NotMeasured, SpecRefused, Unavailable),
)
def get_verification(run_id: str, records: RunReaderDep) -> Response:
    """What came of training a run once more: match, the first epoch that differs, or why nothing can be said."""
    return Response(VerificationView.of(records.verification(run_id)).model_dump_json(), media_type=JSON)
