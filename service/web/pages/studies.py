"""The pages of studies: all of them, and one with its arms compared."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import HTMLResponse, Response

from service.http.dependencies import CallerDep, only
from service.runs.dependencies import RunReaderDep, RunsDep
from service.runs.pages import RunQuery
from service.runs.run import Run
from service.runs.service import Runs
from service.studies.comparison import HIGHER, LOWER
from service.studies.dependencies import StudiesDep
from service.studies.expansion import arm_id
from service.studies.study import Study
from service.web.differences import MOST_ARMS, differences
from service.web.pages.runs import FRESH, may_change
from service.web.rendering import rendered

router = APIRouter(include_in_schema=False)
PAGE = 30
SHOWN = ("metric", "at", "by", "pairs", "curve", "view", "scale", "smooth", "lines", "zoom")
"""Parameters by which a page keeps what its reader chose; only its scripts read them, and ask the API so."""


@router.get("/studies", dependencies=[Depends(only("after"))])
def get_studies(
    caller: CallerDep, studies: StudiesDep, records: RunReaderDep, after: Annotated[str, Query()] = ""
) -> Response:
    """The list of studies."""
    mark = records.last_event_id()
    page = studies.page(limit=PAGE, after=after or None)
    return HTMLResponse(
        rendered("studies.html", caller=caller, section="studies", page=page, after=after, mark=mark), headers=FRESH
    )


@router.get("/studies/{study_id}", dependencies=[Depends(only(*SHOWN))])
def get_study(study_id: str, caller: CallerDep, runs: RunsDep, records: RunReaderDep, studies: StudiesDep) -> Response:
    """One study; its comparison is fetched from the API, so that a notebook shows the same numbers."""
    mark = records.last_event_id()
    study = studies.get(study_id)
    arms = one_of_each_arm(runs, study)
    differing = differences([run.spec for run in arms.values()])
    page = rendered(
        "study.html",
        caller=caller,
        section="studies",
        study=study,
        mark=mark,
        arms=list(arms)[:MOST_ARMS],
        differing=differing,
        groupings=groupings(study, [row.path for row in differing]),
        metrics=metrics_of(study, list(arms.values())),
        series=sorted({name for run in arms.values() for name in run.last} | {study.metric}),
        paths=list(dict.fromkeys(path for arm in study.arms for path in arm.values)),
        told_arms={arm.id: arm_id("", {"arm": arm.name, **arm.values})[2:-1] for arm in study.arms},
        changes=may_change(caller, study.owner),
    )
    return HTMLResponse(page, headers=FRESH)


def one_of_each_arm(runs: Runs, study: Study) -> dict[str, Run]:
    """By arm, in the study's order, its run of the first seed that is there."""
    found: dict[str, Run] = {}
    for seed in study.seeds:
        query = RunQuery(study_id=study.id, filter=f"seed = {seed}", limit=1000)
        for run in runs.page(query).runs:
            found.setdefault(run.arm or "", run)
        if len(found) == len(study.arms):
            break
    return {arm.id: found[arm.id] for arm in study.arms if arm.id in found}


def groupings(study: Study, paths: list[str]) -> list[str]:
    """What the study's runs can be grouped by: arms, and every field that differs."""
    return ["arm", *(["seed"] if len(study.seeds) > 1 else []), *paths]


def metrics_of(study: Study, arms: list[Run]) -> list[str]:
    """The series of which less, or more, is better: those that arms can be compared by."""
    names = {name for run in arms for name in run.last} | {study.metric}
    return sorted(name for name in names if LOWER.search(name) or HIGHER.search(name))
