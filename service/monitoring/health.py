"""Routes that check whether the service works."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from service.errors import SpecRefused, Unavailable
from service.http.problems import problems
from service.http.routing import Route
from service.runs.reader import RunReader

router = APIRouter(tags=["health"], route_class=Route)


class Health(BaseModel):
    """The service works."""

    status: str = "ok"


@router.get("/healthz", operation_id="get_health", responses=problems(SpecRefused))
def get_health() -> Health:
    """Check that the process responds."""
    return Health()


@router.get("/readyz", operation_id="get_readiness", responses=problems(SpecRefused, Unavailable))
def get_readiness(request: Request) -> Health:
    """Check that the database responds too."""
    request.app.state.services[RunReader].last_event_id()
    return Health()
