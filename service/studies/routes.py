"""Routes of studies: preview, submit, list, read, add seeds, cancel, delete, compare, choose."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Literal

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
from service.http.dependencies import IdempotencyKey, SettingsDep, body_of, key_of, made, only
from service.http.problems import problems
from service.http.scopes import needs
from service.studies.bodies import SeedsBody, StudyBody
from service.studies.choice import Wish
from service.studies.choice_schemas import ChoiceView
from service.studies.comparison import Question
from service.studies.dependencies import StudiesDep
from service.studies.errors import NothingToChoose, StudyActive, StudyNotFound
from service.studies.schemas import ComparisonView, PreviewView, StudyList, StudyView

router = APIRouter(prefix="/v1/studies", tags=["studies"])
JSON = "application/json"
EXAMPLE = {
    "name": "does dropout help?",
    "base": {
        "dataset": {"kind": "digits", "train_size": 200},
        "model": {"kind": "mlp", "hidden": [128, 128]},
        "optimizer": {"kind": "sgd", "lr": 0.1},
        "epochs": 40,
    },
    "arms": {"plain": {}, "dropout": {"regularizers_add": [{"kind": "dropout", "p": 0.4}]}},
    "seeds": 8,
}


@router.post(
    "",
    operation_id="create_study",
    status_code=201,
    response_model=StudyView,
    dependencies=[Depends(only("reuse"))],
    openapi_extra=body_of("StudyBody", EXAMPLE),
    responses=problems(BadRequest, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable, StorageFull),
)
async def create_study(
    request: Request,
    studies: StudiesDep,
    settings: SettingsDep,
    reuse: Annotated[bool, Query(description="Take over the results of equal runs that have finished.")] = True,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue all runs of a study in one transaction; those that can train as stacks."""
    body = await read(request, settings.max_body_bytes)
    new = parse(StudyBody, body).new_study()
    key = key_of(request, idempotency_key, body)
    answer = await run_in_threadpool(
        studies.create, new, respond=lambda study: StudyView.of(study).model_dump_json(), reuse=reuse, key=key
    )
    return made(answer, "/v1/studies")


@router.post(
    "/preview",
    operation_id="preview_study",
    response_model=PreviewView,
    dependencies=[Depends(only("reuse"))],
    openapi_extra=body_of("StudyBody", EXAMPLE) | needs("read"),
    responses=problems(BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
async def preview_study(
    request: Request,
    studies: StudiesDep,
    settings: SettingsDep,
    reuse: Annotated[bool, Query(description="Count equal runs that have finished as free.")] = True,
) -> Response:
    """Runs, stacks and cost of a study, and whether it can decide anything; nothing is queued."""
    new = parse(StudyBody, await read(request, settings.max_body_bytes)).new_study()
    preview = await run_in_threadpool(studies.preview, new, reuse=reuse)
    return Response(PreviewView.of(preview).model_dump_json(), media_type=JSON)


@router.get(
    "",
    operation_id="list_studies",
    response_model=StudyList,
    dependencies=[Depends(only("limit", "after"))],
    responses=problems(BadCursor, SpecRefused, Unavailable),
)
def list_studies(
    studies: StudiesDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
) -> Response:
    """Studies, newest first."""
    return Response(StudyList.of(studies.page(limit=limit, after=after)).model_dump_json(), media_type=JSON)


@router.get(
    "/{study_id}",
    operation_id="get_study",
    response_model=StudyView,
    dependencies=[Depends(only())],
    responses=problems(StudyNotFound, SpecRefused, Unavailable),
)
def get_study(study_id: str, studies: StudiesDep) -> Response:
    """One study, and how far its runs have come."""
    return Response(StudyView.of(studies.get(study_id)).model_dump_json(), media_type=JSON)


@router.delete(
    "/{study_id}",
    operation_id="delete_study",
    status_code=204,
    dependencies=[Depends(only())],
    responses=problems(StudyNotFound, StudyActive, SpecRefused, Unavailable),
)
def delete_study(study_id: str, studies: StudiesDep) -> Response:
    """Forget a study with all its runs; none of them may be active."""
    studies.delete(study_id)
    return Response(status_code=204)


@router.post(
    "/{study_id}/cancel",
    operation_id="cancel_study",
    status_code=202,
    response_model=StudyView,
    dependencies=[Depends(only())],
    responses={
        200: {"model": StudyView, "description": "Every run had ended, or was to end, already."},
        **problems(StudyNotFound, SpecRefused, Unavailable),
    },
)
def cancel_study(study_id: str, studies: StudiesDep) -> Response:
    """Ask every run of a study to end."""
    study, changed = studies.cancel(study_id)
    return Response(StudyView.of(study).model_dump_json(), 202 if changed else 200, media_type=JSON)


@router.post(
    "/{study_id}/seeds",
    operation_id="add_seeds",
    status_code=202,
    response_model=StudyView,
    dependencies=[Depends(only())],
    openapi_extra=body_of("SeedsBody", {"add": 4}),
    responses=problems(
        StudyNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable, StorageFull
    ),
)
async def add_seeds(
    request: Request,
    study_id: str,
    studies: StudiesDep,
    settings: SettingsDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Train every arm with more seeds. Where results could be seen already, that is another look, and splits alpha."""
    body = await read(request, settings.max_body_bytes)
    wanted = parse(SeedsBody, body)
    key = key_of(request, idempotency_key, body)
    there = await run_in_threadpool(studies.get, study_id)
    plan = parse(StudyBody, json.dumps(dict(there.request)).encode()).new_study().plan
    plan = replace(plan, seeds=wanted.wanted(list(there.seeds)))
    answer = await run_in_threadpool(
        studies.add_seeds, study_id, plan, respond=lambda study: StudyView.of(study).model_dump_json(), key=key
    )
    return made(answer, "/v1/studies")


@router.get(
    "/{study_id}/compare",
    operation_id="compare_study",
    response_model=ComparisonView,
    dependencies=[Depends(only("metric", "at", "baseline", "pairs", "by", "min_effect", "interval", "curves"))],
    responses=problems(StudyNotFound, SpecRefused, Unavailable),
)
def compare_study(
    study_id: str,
    studies: StudiesDep,
    metric: Annotated[str | None, Query(description="A loss, an error or an accuracy; default the study's.")] = None,
    at: Annotated[str | None, Query(description="best, last or epoch:N; default the study's.")] = None,
    baseline: Annotated[str | None, Query(description="The arm that the others are compared with.")] = None,
    pairs: Annotated[str, Query(pattern="^(baseline|all)$", description="Against the baseline, or all pairs.")] = (
        "baseline"
    ),
    by: Annotated[list[str], Query(description="Paths of the spec to group by, or `arm`.")] = ["arm"],  # noqa: B006
    min_effect: Annotated[
        float | None, Query(gt=0, allow_inf_nan=False, description="The smallest difference that matters.")
    ] = None,
    interval: Annotated[
        str, Query(pattern="^(sign_flip|bootstrap)$", description="bootstrap adds one, from 20 pairs on.")
    ] = "sign_flip",
    curves: Annotated[list[str], Query(description="Series of which to give mean and band.")] = [],  # noqa: B006
) -> Response:
    """Arms against each other, paired by seed, corrected for how many there are; the answer may be `undecided`."""
    question = Question(
        metric=metric,
        at=at,
        baseline=baseline,
        all_pairs=pairs == "all",
        by=by,
        min_effect=min_effect,
        bootstrap=interval == "bootstrap",
        curves=curves,
    )
    return Response(ComparisonView.of(studies.compare(study_id, question)).model_dump_json(), media_type=JSON)


@router.get(
    "/{study_id}/choice",
    operation_id="choose_arm",
    response_model=ChoiceView,
    dependencies=[Depends(only("rule", "metric", "at", "simpler"))],
    responses=problems(StudyNotFound, NothingToChoose, SpecRefused, Unavailable),
)
def choose_arm(
    study_id: str,
    studies: StudiesDep,
    rule: Annotated[
        Literal["best", "one_standard_error"],
        Query(description="The best mean, or the simplest arm within one standard error of it."),
    ] = "best",
    metric: Annotated[str | None, Query(description="A loss, an error or an accuracy; default the study's.")] = None,
    at: Annotated[str | None, Query(description="best, last or epoch:N; default the study's.")] = None,
    simpler: Annotated[
        list[str],
        Query(
            description="A path of the spec and the end that is simpler: `regularizers.0.strength:desc` (the larger), "
            "`model.hidden.0:asc` (the smaller); several decide in turn. An arm without the path counts as less than "
            "every number. Known by itself where arms differ only in the strength of one regularizer.",
            examples=[["regularizers.0.strength:desc"]],
        ),
    ] = [],  # noqa: B006
) -> Response:
    """The arm to take, by the mean over folds (or seeds) and its standard error, and its spec ready to be posted."""
    wish = Wish(rule=rule, metric=metric, at=at, simpler=simpler)
    return Response(ChoiceView.of(studies.choose(study_id, wish)).model_dump_json(), media_type=JSON)
