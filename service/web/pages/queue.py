"""The page of the queue: what trains, what waits, and the workers."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from service.http.dependencies import CallerDep
from service.http.routing import Route
from service.runs.dependencies import RunReaderDep, RunsDep
from service.store.statuses import HELD
from service.web.pages.runs import FRESH, may_change
from service.web.rendering import render

router = APIRouter(include_in_schema=False, route_class=Route)
MAX_LISTED = 100
"""Unfinished runs that the page lists at most."""


@router.get("/queue")
def get_queue(caller: CallerDep, runs: RunsDep, reader: RunReaderDep) -> Response:
    """Render the queue."""
    mark = reader.last_event_id()
    entries, count = runs.queue(MAX_LISTED)
    page = render(
        "queue.html",
        caller=caller,
        section="queue",
        mark=mark,
        training=[one for one in entries if one.run.status in HELD],
        waiting=[one for one in entries if one.run.status not in HELD],
        more=count - len(entries),
        workers=runs.workers(),
        changeable={one.run.id for one in entries if may_change(caller, one.run.owner)},
    )
    return HTMLResponse(page, headers=FRESH)
