"""Routes that check whether the service works."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from service.errors import SpecRefused, Unavailable
from service.http.dependencies import unscoped
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
def get_readiness(reader: Annotated[RunReader, Depends(unscoped(RunReader))]) -> Health:
    """Check that the database responds too."""
    reader.last_event_id()
    return Health()
