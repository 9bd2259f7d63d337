"""The route of workers."""

from __future__ import annotations

from fastapi import APIRouter

from service.errors import SpecRefused, Unavailable
from service.http.problems import problems
from service.http.routing import Route
from service.runs.dependencies import RunsDep
from service.workers.schemas import WorkerList, WorkerView

router = APIRouter(prefix="/v1/workers", tags=["catalog"], route_class=Route)


@router.get("", operation_id="list_workers", responses=problems(SpecRefused, Unavailable))
def list_workers(runs: RunsDep) -> WorkerList:
    """List the live workers."""
    return WorkerList(data=[WorkerView.of(row) for row in runs.workers()])
