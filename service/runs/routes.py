"""Routes of runs: submit, list, read, change, delete, cancel, pause, resume, retry."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import (
    BadCursor,
    BadRequest,
    KeyReused,
    SpecRefused,
    StorageFull,
    TooLarge,
    Unavailable,
    WrongMediaType,
)
from service.http.bodies import JsonBody
from service.http.conditional import etag, matches, not_modified
from service.http.dependencies import TailerDep, WaitDep
from service.http.idempotency import JSON, IdempotencyKey, created
from service.http.problems import problems
from service.http.routing import Route
from service.runs.bodies import ChangeBody, RunBody
from service.runs.dependencies import RunsDep
from service.runs.errors import RunActive, RunNotFound, TransitionRefused
from service.runs.parameters import CreateRunQuery, RunListQuery
from service.runs.schemas import RunList, RunView, Validation
from service.runs.service import Runs
from service.runs.states import Action
from service.runs.submission.review import estimate

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=Route)


@router.post(
    "",
    operation_id="create_run",
    status_code=201,
    response_model=RunView,
    responses={
        200: {
            "model": RunView | Validation,
            "description": "A new run with the result of an equal one, or with `validate_only` the resolved spec.",
        },
        **problems(BadRequest, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable, StorageFull),
    },
)
def create_run(
    body: JsonBody[RunBody], query: Annotated[CreateRunQuery, Query()], key: IdempotencyKey, runs: RunsDep
) -> Response:
    """Queue a training run and return at once."""
    if query.validate_only:
        spec = runs.review(body.new_run()).spec
        return Response(Validation.of(spec, estimate(spec)).model_dump_json(), 200, media_type=JSON)
    stored = runs.submit(body.new_run(), render=RunView.render, reuse=query.reuse, key=key)
    return created(stored, "/v1/runs")


@router.get(
    "",
    operation_id="list_runs",
    response_model=RunList,
    responses=problems(BadCursor, SpecRefused, Unavailable),
)
def list_runs(query: Annotated[RunListQuery, Query()], runs: RunsDep) -> Response:
    """List runs, newest first or in the order of `sort`."""
    fields = query.field_names()
    page = RunList.of(runs.page(query.run_query()))
    if fields is None:  # serialized here, in a worker thread: a page of 1,000 runs would block the event loop
        return Response(page.model_dump_json(by_alias=True), media_type=JSON)
    data: dict[str, Any] = page.model_dump(mode="json", by_alias=True)
    data["data"] = [{name: run[name] for name in run if name in fields} for run in data["data"]]
    return Response(json.dumps(data, separators=(",", ":"), ensure_ascii=False), media_type=JSON)


@router.get(
    "/{run_id}",
    operation_id="get_run",
    response_model=RunView,
    responses={304: {"description": "The run has not changed."}, **problems(RunNotFound, SpecRefused, Unavailable)},
)
async def get_run(request: Request, run_id: str, runs: RunsDep, tailer: TailerDep, wait: WaitDep) -> Response:
    """Return one run. With If-None-Match and `Prefer: wait=30`, wait until the run changes."""
    applied = {"preference-applied": f"wait={wait:.0f}"} if wait else {}
    deadline = time.monotonic() + wait
    async with tailer.follow(run_id) if wait else contextlib.nullcontext() as follower:
        while True:
            tag = etag(run_id, await run_in_threadpool(runs.version, run_id))
            if not matches(request, tag):
                run = await run_in_threadpool(runs.get, run_id)
                return Response(RunView.render(run), 200, {"etag": etag(run_id, run.version), **applied}, JSON)
            left = deadline - time.monotonic()
            if follower is None or left <= 0 or tailer.closed:
                return not_modified(tag, **applied)
            await follower.news(left)


@router.patch(
    "/{run_id}",
    operation_id="change_run",
    responses=problems(RunNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
def change_run(run_id: str, body: JsonBody[ChangeBody], runs: RunsDep) -> RunView:
    """Change the metadata of a run, such as its name or priority. Fields left out keep their values."""
    return RunView.of(runs.change(run_id, body.model_dump(exclude_unset=True)))


@router.delete(
    "/{run_id}",
    operation_id="delete_run",
    status_code=204,
    responses=problems(RunNotFound, RunActive, SpecRefused, Unavailable),
)
def delete_run(run_id: str, runs: RunsDep) -> None:
    """Delete a finished run with its history and files."""
    runs.delete(run_id)


def _act(runs: Runs, run_id: str, action: Action, response: Response) -> RunView:
    run, changed = runs.act(run_id, action)
    response.status_code = 202 if changed else 200
    return RunView.of(run)


def _action(action: Action) -> Callable[[Callable[..., RunView]], Callable[..., RunView]]:
    return router.post(
        f"/{{run_id}}/{action}",
        operation_id=f"{action}_run",
        status_code=202,
        responses={
            200: {"model": RunView, "description": "The run was already in that state."},
            **problems(RunNotFound, TransitionRefused, SpecRefused, Unavailable),
        },
    )


@_action("cancel")
def cancel_run(run_id: str, runs: RunsDep, response: Response) -> RunView:
    """Cancel a run; it leaves its stack between two steps, and the other runs of the stack continue."""
    return _act(runs, run_id, "cancel", response)


@_action("pause")
def pause_run(run_id: str, runs: RunsDep, response: Response) -> RunView:
    """Save a running run and pause it; it leaves its stack between two steps, and the other runs continue."""
    return _act(runs, run_id, "pause", response)


@_action("resume")
def resume_run(run_id: str, runs: RunsDep, response: Response) -> RunView:
    """Queue a paused run again; it continues from its saved state, with the same bits as if it had not paused."""
    return _act(runs, run_id, "resume", response)


@_action("retry")
def retry_run(run_id: str, runs: RunsDep, response: Response) -> RunView:
    """Queue a failed or cancelled run again; it continues from its last checkpoint."""
    return _act(runs, run_id, "retry", response)
