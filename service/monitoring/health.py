"""Routes for whoever keeps the service running."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from service.errors import SpecRefused, Unavailable
from service.http.dependencies import only
from service.http.problems import problems
from service.runs.reader import RunReader

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


@router.get("/healthz", operation_id="get_health", dependencies=[Depends(only())], responses=problems(SpecRefused))
def get_health() -> Health:
    """Whether the process answers."""
    return Health()


@router.get(
    "/readyz",
    operation_id="get_readiness",
    dependencies=[Depends(only())],
    responses=problems(SpecRefused, Unavailable),
)
def get_readiness(request: Request) -> Health:
    """Whether the database answers too."""
    request.app.state.services[RunReader].last_event_id()
    return Health()
