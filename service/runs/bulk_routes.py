"""Routes for many runs at once: submit and cancel."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.errors import BadRequest, KeyReused, SpecRefused, StorageFull, TooLarge, Unavailable, WrongMediaType
from service.http.bodies import JsonBody
from service.http.idempotency import IdempotencyKey, created
from service.http.problems import problems
from service.http.routing import Route
from service.runs.bodies import BulkBody, CancelBody
from service.runs.dependencies import RunsDep
from service.runs.errors import RunNotFound
from service.runs.parameters import CreateRunsQuery
from service.runs.schemas import RunView

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=Route)


class RunsMade(BaseModel):
    """The queued runs, in the order of the request."""

    object: Literal["list"] = "list"
    data: list[RunView]


class Cancelled(BaseModel):
    """The effect of cancelling many runs."""

    object: Literal["cancelled"] = "cancelled"
    asked: int = Field(description="Runs that this request cancelled.")
    unchanged: int = Field(description="Named runs that had already finished or were already being cancelled.")


@router.post(
    "/bulk",
    operation_id="create_runs",
    status_code=201,
    response_model=RunsMade,
    responses=problems(BadRequest, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable, StorageFull),
)
def create_runs(
    body: JsonBody[BulkBody], query: Annotated[CreateRunsQuery, Query()], key: IdempotencyKey, runs: RunsDep
) -> Response:
    """Queue several runs in one transaction: all of them, or none."""
    stored = runs.submit_all(
        {f"/runs/{i}": one.new_run() for i, one in enumerate(body.runs)},
        render=lambda queued: RunsMade(data=[RunView.of(run) for run in queued]).model_dump_json(by_alias=True),
        reuse=query.reuse,
        key=key,
    )
    return created(stored)


@router.post(
    "/cancel",
    operation_id="cancel_runs",
    status_code=202,
    responses=problems(RunNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
def cancel_runs(body: JsonBody[CancelBody], runs: RunsDep) -> Cancelled:
    """Cancel many runs, by id or by a filter, in one transaction."""
    cancelled, unchanged = runs.act_on_all(body.selection(), "cancel")
    return Cancelled(asked=cancelled, unchanged=unchanged)
