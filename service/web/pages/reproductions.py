"""The pages of reproductions: the list, and one reproduction with its claims and their verdicts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, Response

from service.http.dependencies import CallerDep
from service.http.routing import Route
from service.reproductions.definition import SCALES
from service.reproductions.dependencies import ReproductionsDep
from service.reproductions.schemas import ReproductionList, ReproductionView
from service.runs.dependencies import RunReaderDep
from service.web.pages.runs import FRESH, may_change
from service.web.parameters import ReproductionPageQuery
from service.web.rendering import render

router = APIRouter(include_in_schema=False, route_class=Route)


@router.get("/reproductions")
def get_reproductions(caller: CallerDep, reproductions: ReproductionsDep) -> Response:
    """Render the list of reproductions."""
    listed = ReproductionList.of(reproductions.all())
    page = render("reproductions.html", caller=caller, section="reproductions", listed=listed.data, scales=SCALES)
    return HTMLResponse(page, headers=FRESH)


@router.get("/reproductions/{name}")
def get_reproduction(
    name: str,
    query: Annotated[ReproductionPageQuery, Query()],
    caller: CallerDep,
    reproductions: ReproductionsDep,
    reader: RunReaderDep,
) -> Response:
    """Render one reproduction."""
    mark = reader.last_event_id()
    view = ReproductionView.of_state(reproductions.get(name, query.scale))
    page = render(
        "reproduction.html",
        caller=caller,
        section="reproductions",
        view=view,
        scales=SCALES,
        mark=mark,
        interrupted=interrupted(view),
        own=view.owner in (None, caller.owner),
        cancels=unfinished(view) if view.owner and may_change(caller, view.owner) else [],
    )
    return HTMLResponse(page, headers=FRESH)


def unfinished(view: ReproductionView) -> list[str]:
    """Return the ids of the studies that have not finished."""
    return [study.study_id for study in view.studies if study.study_id and study.status not in (None, "finished")]


def interrupted(view: ReproductionView) -> bool:
    """Return whether a start would queue something again: runs that did not succeed, or a study that was deleted."""
    progress = [study.progress for study in view.studies]
    return view.terminal and any(
        one is None or {"failed", "cancelled"} & {status for status, count in one.by_status.items() if count}
        for one in progress
    )
