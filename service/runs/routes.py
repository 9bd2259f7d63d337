"""Routes of runs: submit, list, read, change, delete, cancel, pause, resume, retry."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
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
from service.http.bodies import parse, read
from service.http.dependencies import (
    IdempotencyKey,
    SettingsDep,
    TailerDep,
    WaitOf,
    body_of,
    etag,
    key_of,
    made,
    matches,
    not_modified,
    only,
)
from service.http.problems import problems
from service.runs.bodies import ChangeBody, RunBody
from service.runs.dependencies import RunsDep
from service.runs.errors import RunActive, RunNotFound, TransitionRefused
from service.runs.pages import NEWEST_FIRST, RunQuery
from service.runs.schemas import RunList, RunView, Validation
from service.runs.service import Runs
from service.runs.states import Action, Status
from service.runs.submission.review import estimate

router = APIRouter(prefix="/v1/runs", tags=["runs"])
JSON = "application/json"
EXAMPLE = {
    "dataset": {"kind": "digits"},
    "model": {"kind": "mlp", "hidden": [128, 128]},
    "regularizers": [{"kind": "dropout", "p": 0.4}],
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 20,
    "seed": 0,
}


@router.post(
    "",
    operation_id="create_run",
    status_code=201,
    response_model=RunView,
    dependencies=[Depends(only("validate_only", "reuse"))],
    openapi_extra=body_of("RunBody", EXAMPLE),
    responses={
        200: {
            "model": RunView | Validation,
            "description": "A new run with the result of an equal one. Or, by `validate_only`, the resolved spec.",
        },
        **problems(BadRequest, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable, StorageFull),
    },
)
async def create_run(
    request: Request,
    runs: RunsDep,
    settings: SettingsDep,
    validate_only: Annotated[bool, Query(description="Check and resolve the spec, and queue nothing.")] = False,
    reuse: Annotated[bool, Query(description="Take over the result of an equal run that has finished.")] = True,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a training run and return at once."""
    body = await read(request, settings.max_body_bytes)
    parsed = parse(RunBody, body)
    if validate_only:
        spec = (await run_in_threadpool(runs.review, parsed.new_run())).spec
        return Response(Validation.of(spec, estimate(spec)).model_dump_json(), 200, media_type=JSON)
    key = key_of(request, idempotency_key, body)
    answer = await run_in_threadpool(
        runs.submit, parsed.new_run(), respond=lambda run: RunView.of(run).json_text(), reuse=reuse, key=key
    )
    return made(answer, "/v1/runs")


async def _labels(
    label: Annotated[list[str], Query(description="`key=value`; all given ones must match.")] = [],  # noqa: B006
) -> dict[str, str]:
    pairs = [one.partition("=") for one in label]
    wrong = [key for key, equals, _ in pairs if not equals]
    if wrong:
        message = f"A label is asked for as key=value; {wrong[0]!r} has no '='."
        raise SpecRefused.at("label", "label_malformed", message)
    return {key: value for key, _, value in pairs}


@router.get(
    "",
    operation_id="list_runs",
    response_model=RunList,
    dependencies=[Depends(only("status", "label", "study_id", "name", "filter", "sort", "fields", "limit", "after"))],
    responses=problems(BadCursor, SpecRefused, Unavailable),
)
def list_runs(
    runs: RunsDep,
    labels: Annotated[dict[str, str], Depends(_labels)],
    status: Annotated[list[Status], Query(description="Any of these.")] = [],  # noqa: B006
    study_id: str | None = None,
    name: str | None = None,
    filter: Annotated[  # noqa: A002
        str | None,
        Query(
            description="Comparisons of places with values, AND, OR, NOT, parentheses.",
            examples=['status = "succeeded" AND (spec.optimizer.lr >= 0.1 OR labels.course = "dl")'],
        ),
    ] = None,
    sort: Annotated[
        str, Query(description="A number to sort by, - for the largest first: created_at, best.value, last.val.loss.")
    ] = NEWEST_FIRST,
    fields: Annotated[str | None, Query(description="Only these fields of a run, separated by commas.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
) -> Response:
    """Runs, newest first or as `sort` says."""
    wanted = None if fields is None else _fields(fields)
    query = RunQuery(
        status=status, label=labels, study_id=study_id, name=name, filter=filter, sort=sort, limit=limit, after=after
    )
    page = RunList.of(runs.page(query))
    if wanted is None:
        return Response(page.model_dump_json(by_alias=True), media_type=JSON)
    told = page.model_dump(mode="json", by_alias=True)
    told["data"] = [{name: run[name] for name in run if name in wanted} for run in told["data"]]
    return Response(json.dumps(told, separators=(",", ":"), ensure_ascii=False), media_type=JSON)


def _fields(asked: str) -> set[str]:
    """The fields of a run that are asked for, and its id."""
    names = {name.strip() for name in asked.split(",")}
    unknown = sorted(names - RunView.model_fields.keys())
    if unknown:
        message = f"A run has no field {unknown[0]!r}; it has {', '.join(RunView.model_fields)}."
        raise SpecRefused.at("fields", "no_such_field", message, allowed=list(RunView.model_fields))
    return {"id", *names}


@router.get(
    "/{run_id}",
    operation_id="get_run",
    response_model=RunView,
    dependencies=[Depends(only())],
    responses={304: {"description": "Nothing has changed."}, **problems(RunNotFound, SpecRefused, Unavailable)},
)
async def get_run(request: Request, run_id: str, runs: RunsDep, tailer: TailerDep, wait: WaitOf) -> Response:
    """One run. With If-None-Match and `Prefer: wait=30` the answer comes when something has changed."""
    applied = {"preference-applied": f"wait={wait:.0f}"} if wait else {}
    deadline = time.monotonic() + wait
    async with tailer.follow(run_id) if wait else contextlib.nullcontext() as follower:
        while True:
            tag = etag(run_id, await run_in_threadpool(runs.version, run_id))
            if not matches(request, tag):
                run = await run_in_threadpool(runs.get, run_id)
                return Response(RunView.of(run).json_text(), 200, {"etag": etag(run_id, run.version), **applied}, JSON)
            left = deadline - time.monotonic()
            if follower is None or left <= 0 or tailer.closed:
                return not_modified(tag, **applied)
            await follower.news(left)


@router.patch(
    "/{run_id}",
    operation_id="change_run",
    response_model=RunView,
    dependencies=[Depends(only())],
    openapi_extra=body_of("ChangeBody", {"priority": 5}),
    responses=problems(RunNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
async def change_run(request: Request, run_id: str, runs: RunsDep, settings: SettingsDep) -> Response:
    """Change what no result depends on: name, labels, priority, max_seconds; what is left out stays as it is."""
    changes = parse(ChangeBody, await read(request, settings.max_body_bytes)).model_dump(exclude_unset=True)
    run = await run_in_threadpool(runs.change, run_id, changes)
    return Response(RunView.of(run).json_text(), media_type=JSON)


@router.delete(
    "/{run_id}",
    operation_id="delete_run",
    status_code=204,
    dependencies=[Depends(only())],
    responses=problems(RunNotFound, RunActive, SpecRefused, Unavailable),
)
def delete_run(run_id: str, runs: RunsDep) -> Response:
    """Forget a run that has ended, with its history and files."""
    runs.delete(run_id)
    return Response(status_code=204)


ACTED = {
    200: {"model": RunView, "description": "It was so already."},
    **problems(RunNotFound, TransitionRefused, SpecRefused, Unavailable),
}


def _acted(runs: Runs, run_id: str, action: Action) -> Response:
    run, changed = runs.act(run_id, action)
    return Response(RunView.of(run).json_text(), 202 if changed else 200, media_type=JSON)


def _action(action: Action) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    return router.post(
        f"/{{run_id}}/{action}",
        operation_id=f"{action}_run",
        status_code=202,
        response_model=RunView,
        dependencies=[Depends(only())],
        responses=ACTED,
    )


@_action("cancel")
def cancel_run(run_id: str, runs: RunsDep) -> Response:
    """Ask a run to end; it leaves its stack between two steps, and its mates go on."""
    return _acted(runs, run_id, "cancel")


@_action("pause")
def pause_run(run_id: str, runs: RunsDep) -> Response:
    """Ask a running run to save its state and wait; it leaves its stack between two steps, and its mates go on."""
    return _acted(runs, run_id, "pause")


@_action("resume")
def resume_run(run_id: str, runs: RunsDep) -> Response:
    """Queue a paused run again; it goes on from where it was saved, with the same bits as if it had not paused."""
    return _acted(runs, run_id, "resume")


@_action("retry")
def retry_run(run_id: str, runs: RunsDep) -> Response:
    """Queue a run again that failed or was cancelled; it goes on from its last checkpoint."""
    return _acted(runs, run_id, "retry")
