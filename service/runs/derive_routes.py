"""Routes that derive a run from another: clone it with a patch, extend it, verify it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from service.errors import BadRequest, KeyReused, SpecRefused, StorageFull, TooLarge, Unavailable, WrongMediaType
from service.http.bodies import JsonBody
from service.http.idempotency import IdempotencyKey, created
from service.http.problems import problems
from service.http.routing import Route
from service.runs.bodies import CloneBody, ExtendBody, run_of
from service.runs.dependencies import RunReaderDep, RunsDep
from service.runs.errors import NotMeasured, RunNotFound, TransitionRefused
from service.runs.parameters import ReuseParams
from service.runs.patches import patched
from service.runs.schemas import RunView
from service.runs.verification_schemas import VerificationView

router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=Route)
BODY_REFUSALS = (BadRequest, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable, StorageFull)


@router.post(
    "/{run_id}/clone",
    operation_id="clone_run",
    status_code=201,
    response_model=RunView,
    responses={
        200: {"model": RunView, "description": "A new run with the result of an equal one."},
        **problems(RunNotFound, *BODY_REFUSALS),
    },
)
def clone_run(
    run_id: str, body: JsonBody[CloneBody], query: ReuseParams, key: IdempotencyKey, runs: RunsDep
) -> Response:
    """Queue a run like this one, with a merge patch of its spec."""
    spec = patched(runs.get(run_id).spec, body.patch)
    new = run_of({**spec, **body.model_dump(exclude={"patch"})})
    return created(runs.submit(new, render=RunView.render, reuse=query.reuse, key=key), "/v1/runs")


@router.post(
    "/{run_id}/extend",
    operation_id="extend_run",
    status_code=201,
    response_model=RunView,
    responses={
        200: {"model": RunView, "description": "A new run with the result of an equal one."},
        **problems(RunNotFound, TransitionRefused, *BODY_REFUSALS),
    },
)
def extend_run(run_id: str, body: JsonBody[ExtendBody], key: IdempotencyKey, runs: RunsDep) -> Response:
    """Continue a run that succeeded for more epochs, as a new run with the bits of one trained that long at once.

    A run that a stop rule ended continues with other rules: ``{"stop": []}`` has none.
    """
    return created(runs.extend(run_id, body.epochs, body.stop, render=RunView.render, key=key), "/v1/runs")


@router.post(
    "/{run_id}/verify",
    operation_id="verify_run",
    status_code=202,
    responses={
        200: {"model": VerificationView, "description": "The run is already being verified, or has been."},
        **problems(RunNotFound, TransitionRefused, SpecRefused, Unavailable, StorageFull),
    },
)
def verify_run(run_id: str, runs: RunsDep, response: Response) -> VerificationView:
    """Train a run once more, and compare every bit of every epoch."""
    verification, begun = runs.verify(run_id)
    response.status_code = 202 if begun else 200
    return VerificationView.of(verification)


@router.get(
    "/{run_id}/verification",
    operation_id="get_verification",
    responses=problems(RunNotFound, NotMeasured, SpecRefused, Unavailable),
)
def get_verification(run_id: str, runs: RunReaderDep) -> VerificationView:
    """Return the result of a verification: match, the first epoch that differs, or why the two cannot be compared."""
    return VerificationView.of(runs.verification(run_id))
