"""Routes of reproductions: list, read, preview, start or resume."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from service.errors import BadRequest, SpecRefused, StorageFull, TooLarge, Unavailable, WrongMediaType
from service.http.bodies import JsonBody
from service.http.problems import problems
from service.http.routing import Route
from service.http.scopes import needs
from service.reproductions.bodies import StartBody
from service.reproductions.dependencies import ReproductionsDep
from service.reproductions.errors import ReproductionNotFound
from service.reproductions.parameters import ScaleParams
from service.reproductions.schemas import CostView, ReproductionList, ReproductionView

router = APIRouter(prefix="/v1/reproductions", tags=["reproductions"], route_class=Route)


@router.get("", operation_id="list_reproductions", responses=problems(SpecRefused, Unavailable))
def list_reproductions(reproductions: ReproductionsDep) -> ReproductionList:
    """List the published claims that this server can test again, and what that takes."""
    return ReproductionList.of(reproductions.all())


@router.get(
    "/{name}", operation_id="get_reproduction", responses=problems(ReproductionNotFound, SpecRefused, Unavailable)
)
def get_reproduction(name: str, query: ScaleParams, reproductions: ReproductionsDep) -> ReproductionView:
    """Return a reproduction at one scale: its claims with their rules and, once it was started, their verdicts."""
    return ReproductionView.of_state(reproductions.get(name, query.scale))


@router.post(
    "/{name}",
    operation_id="start_reproduction",
    status_code=201,
    responses={
        200: {"model": ReproductionView, "description": "You have started it before; interrupted runs are resumed."},
        **problems(ReproductionNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable, StorageFull),
    },
)
def start_reproduction(
    name: str, body: JsonBody[StartBody], reproductions: ReproductionsDep, response: Response
) -> ReproductionView:
    """Queue the studies of a reproduction in one transaction.

    Repeating the request changes nothing but resumes: results stay, runs that failed or were cancelled are queued
    again. Diverged runs are results.
    """
    response.status_code = 201 if reproductions.start(name, body.scale) else 200
    response.headers["location"] = f"/v1/reproductions/{name}?scale={body.scale}"
    return ReproductionView.of_state(reproductions.get(name, body.scale))


@router.post(
    "/{name}/preview",
    operation_id="preview_reproduction",
    openapi_extra=needs("read"),
    responses=problems(ReproductionNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
def preview_reproduction(name: str, body: JsonBody[StartBody], reproductions: ReproductionsDep) -> CostView:
    """Return the runs and the time that starting a reproduction takes; nothing is queued."""
    return CostView.of(body.scale, reproductions.cost(name, body.scale))
