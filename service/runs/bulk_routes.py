"""Routes for many runs at once: submit them, cancel them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import BadRequest, KeyReused, SpecRefused, StorageFull, TooLarge, Unavailable, WrongMediaType
from service.http.bodies import parse, read
from service.http.dependencies import IdempotencyKey, SettingsDep, body_of, key_of, only
from service.http.problems import problems
from service.runs.bodies import BulkBody, CancelBody
from service.runs.dependencies import RunsDep
from service.runs.errors import RunNotFound
from service.runs.routes import EXAMPLE
from service.runs.schemas import RunView

router = APIRouter(prefix="/v1/runs", tags=["runs"])
JSON = "application/json"


class RunsMade(BaseModel):
    """The runs that were queued, in the order of the request."""

    object: Literal["list"] = "list"
    data: list[RunView]


class Cancelled(BaseModel):
    """What a request to cancel many runs did."""

    object: Literal["cancelled"] = "cancelled"
    asked: int = Field(description="Runs that end, or have ended, by this request.")
    unchanged: int = Field(description="Runs that were named and had ended, or were to end, already.")


@router.post(
    "/bulk",
    operation_id="create_runs",
    status_code=201,
    response_model=RunsMade,
    dependencies=[Depends(only("reuse"))],
    openapi_extra=body_of("BulkBody", {"runs": [EXAMPLE, {**EXAMPLE, "seed": 1}]}),
    responses=problems(BadRequest, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable, StorageFull),
)
async def create_runs(
    request: Request,
    runs: RunsDep,
    settings: SettingsDep,
    reuse: Annotated[bool, Query(description="Take over the results of equal runs that have finished.")] = True,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue several runs in one transaction: all of them, or none."""
    body = await read(request, settings.max_body_bytes)
    new = {f"/runs/{i}": one.new_run() for i, one in enumerate(parse(BulkBody, body).runs)}
    answer = await run_in_threadpool(
        runs.submit_all,
        new,
        respond=lambda made: RunsMade(data=[RunView.of(run) for run in made]).model_dump_json(by_alias=True),
        reuse=reuse,
        key=key_of(request, idempotency_key, body),
    )
    headers = {"idempotency-replayed": "true"} if answer.replayed else {}
    return Response(answer.body, answer.status_code, headers, JSON)


@router.post(
    "/cancel",
    operation_id="cancel_runs",
    status_code=202,
    response_model=Cancelled,
    dependencies=[Depends(only())],
    openapi_extra=body_of("CancelBody", {"filter": 'labels.course = "dl"'}),
    responses=problems(RunNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
async def cancel_runs(request: Request, runs: RunsDep, settings: SettingsDep) -> Response:
    """Ask many runs to end, by their ids or by a filter, in one transaction."""
    wanted = parse(CancelBody, await read(request, settings.max_body_bytes)).wanted()
    asked, unchanged = await run_in_threadpool(runs.act_on_all, wanted, "cancel")
    return Response(Cancelled(asked=asked, unchanged=unchanged).model_dump_json(), 202, media_type=JSON)
