"""The page that compares any runs: their curves, what their specs differ in, and their figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, Response

from service.http.dependencies import CallerDep
from service.http.routing import Route
from service.runs.comparison import RunComparison, Series
from service.runs.dependencies import RunReaderDep
from service.runs.parameters import names_in
from service.web.pages.runs import FRESH
from service.web.parameters import ComparePageQuery
from service.web.rendering import render
from service.web.run_studies import study_of
from service.web.summaries import epoch_name, held_out_loss, run_title

router = APIRouter(include_in_schema=False, route_class=Route)
EVALUATED = re.compile(r"^(test|val)\.|^train\.(loss|accuracy|r2)_eval$")
"""Series whose figures the page lists; the API returns all of them."""


@router.get("/compare")
def get_comparison(query: Annotated[ComparePageQuery, Query()], caller: CallerDep, reader: RunReaderDep) -> Response:
    """Render the comparison of the runs in the address, with the first one."""
    ids = names_in(query.runs) if query.runs else []
    comparison = reader.comparison(ids) if ids else RunComparison([], [], [])
    runs = [one.run for one in comparison.figures]
    titles = unique([run_title(run) for run in runs])
    page = render(
        "compare.html",
        caller=caller,
        section="runs",
        comparison=comparison,
        runs=runs,
        titles=titles,
        addresses=[address([run.id for run in runs if run.id != one.id]) for one in runs],
        references=[address([one.id, *(run.id for run in runs if run.id != one.id)]) for one in runs],
        axis=epoch_name(runs[0].spec) if runs else "epoch",
        metric=default_series(comparison.series, held_out_loss(runs[0])) if runs else "",
        measured=sorted(
            (one for one in comparison.series if EVALUATED.match(one.name)), key=lambda one: one.name.partition(".")[0]
        ),
        study=study_of(runs) if runs and caller.has("write") else None,
    )
    return HTMLResponse(page, headers=FRESH)


def default_series(series: Sequence[Series], preferred: str) -> str:
    """Return the series to draw first: one that most runs measure alike, ``preferred`` if it is one of them."""
    listed = [one for one in series if one.name.startswith(("val.", "test."))]
    if not listed:
        return preferred
    most = max(len(one.comparable) for one in listed)
    names = [one.name for one in listed if len(one.comparable) == most]
    return preferred if preferred in names else names[0]


def unique(titles: list[str]) -> list[str]:
    """Return the titles with a number after those that are repeated."""
    counts: dict[str, int] = {}
    result = []
    for title in titles:
        counts[title] = counts.get(title, 0) + 1
        result.append(title if counts[title] == 1 else f"{title} ({counts[title]})")
    return result


def address(ids: list[str]) -> str:
    """Return the address of the comparison of these runs."""
    return f"/compare?runs={','.join(ids)}"
