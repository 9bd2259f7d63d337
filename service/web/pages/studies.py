"""The pages of studies: the list, and one study with its comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, Response

from service.catalog.presets import presets
from service.http.dependencies import CallerDep
from service.http.routing import Route
from service.runs.dependencies import RunReaderDep, RunsDep
from service.runs.differences import MAX_ARMS, differences
from service.runs.pages import RunQuery
from service.runs.run import Run
from service.runs.service import Runs
from service.studies.dependencies import StudiesDep
from service.studies.expansion import DATASET, arm_id
from service.studies.learning_curves import has_sizes
from service.studies.metrics import HIGHER, LOWER
from service.studies.replicates import replicates_of
from service.studies.study import Study
from service.studies.tuning_schemas import TuneView
from service.web.pages.runs import FRESH, may_change
from service.web.parameters import NewStudyQuery, StudyListQuery, StudyPageQuery
from service.web.rendering import render
from service.web.summaries import epoch_name
from service.web.varied_fields import varied_fields
from worker.spec.run import RunSpec

router = APIRouter(include_in_schema=False, route_class=Route)
PAGE = 30
MAX_IMPORTANCE_ARMS = 6
"""Arms whose importance of columns is displayed, side by side."""


@router.get("/studies")
def get_studies(
    query: Annotated[StudyListQuery, Query()], caller: CallerDep, studies: StudiesDep, reader: RunReaderDep
) -> Response:
    """Render the list of studies."""
    mark = reader.last_event_id()
    page = studies.page(limit=PAGE, after=query.after or None)
    return HTMLResponse(
        render("studies.html", caller=caller, section="studies", page=page, after=query.after, mark=mark), headers=FRESH
    )


@router.get("/studies/new")
def get_new_study(query: Annotated[NewStudyQuery, Query()], caller: CallerDep, runs: RunsDep) -> Response:
    """Render the form of a new study, whose base is the spec of the run ``from`` if set."""
    base = {key: value for key, value in runs.get(query.origin).spec.items() if key != "seed"} if query.origin else None
    page = render(
        "new_study.html",
        caller=caller,
        section="studies",
        presets={name: one for name, one in presets().items() if one.study},
        base=base,
    )
    return HTMLResponse(page, headers=FRESH)


@router.get("/studies/{study_id}")
def get_study(
    study_id: str,
    query: Annotated[StudyPageQuery, Query()],
    caller: CallerDep,
    runs: RunsDep,
    reader: RunReaderDep,
    studies: StudiesDep,
) -> Response:
    """Render one study; scripts load its comparison from the API, so that a notebook shows the same numbers."""
    mark = reader.last_event_id()
    study = studies.get(study_id)
    judging = study.judging
    arms = run_of_each_arm(runs, judging)
    differing = differences([run.spec for run in arms.values()])
    page = render(
        "study.html",
        caller=caller,
        section="studies",
        study=study,
        judging=judging,
        tuning=None if study.tune is None else TuneView.of(study, study.tune),
        mark=mark,
        axis=axis_of(arms.values()),
        arms=list(arms)[:MAX_ARMS],
        differing=differing,
        groupings=groupings(judging, [row.path for row in differing]),
        metrics=metrics_of(judging, list(arms.values())),
        series=sorted({name for run in arms.values() for name in run.last} | {judging.metric}),
        paths=list(dict.fromkeys(path for arm in judging.arms for path in arm.values)),
        arm_labels={arm.id: arm_id("", {"arm": arm.name, **arm.values})[2:-1] for arm in judging.arms},
        varied={
            "arms": [{"id": arm.id, "name": arm.name} for arm in judging.arms],
            "fields": [asdict(one) for one in varied_fields(judging.arms, differing)],
        },
        sized=has_sizes(judging),
        importance=importance_query(arms),
        decomposes=has_bias_and_variance(judging, arms),
        changes=may_change(caller, study.owner),
        adds_seeds=may_change(caller, study.owner) and takes_seeds(study),
        chooses=len(study.arms) > 1 and study.tune is None and not study.datasets,
        several_datasets=has_several_datasets(study),
    )
    return HTMLResponse(page, headers=FRESH)


def importance_query(arms: Mapping[str, Run]) -> str | None:
    """Return the query for the importance of columns to the first arms; None if rows are not columns of a table."""
    specs = {arm: RunSpec.of(run.spec) for arm, run in list(arms.items())[:MAX_IMPORTANCE_ARMS]}
    if not specs or any(len(spec.dataset.shape) > 1 or not spec.model.trains for spec in specs.values()):
        return None
    validates = all(spec.dataset.validation_rows for spec in specs.values())
    if not validates and any(spec.evaluate.test == "never" for spec in specs.values()):
        return None
    split = "val" if validates else "test"
    return urlencode([("split", split), *(("arm", arm) for arm in specs)])


def has_bias_and_variance(study: Study, arms: Mapping[str, Run]) -> bool:
    """Return whether arms have several runs that are evaluated on test rows."""
    specs = [RunSpec.of(run.spec) for run in arms.values()]
    runs = len(study.seeds) * len(study.splits or [0]) * (study.folds or 1)
    return runs > 1 and bool(specs) and all(one.evaluate.test != "never" and one.dataset.rows[1] for one in specs)


def takes_seeds(study: Study) -> bool:
    """Return whether seeds can be added by hand: not to tuned or sequential studies, nor to replicates of a split."""
    replicates = replicates_of(study.request)
    by_split = replicates is not None and replicates.all_splits is not None
    return study.tune is None and study.schedule is None and not by_split


def has_several_datasets(study: Study) -> bool:
    """Return whether the arms can be compared over datasets."""
    return study.schedule is None and len({repr(arm.values.get(DATASET)) for arm in study.arms}) > 1


def axis_of(runs: Iterable[Run]) -> str:
    """Return the name of the x axis of the runs' curves: that of their epochs, if all call them the same."""
    names = {epoch_name(run.spec) for run in runs}
    return names.pop() if len(names) == 1 else "epoch"


def run_of_each_arm(runs: Runs, study: Study) -> dict[str, Run]:
    """Return a run of each arm, that of the first existing seed, in the study's order."""
    by_arm: dict[str, Run] = {}
    for seed in study.seeds:
        query = RunQuery(study_id=study.id, filter=f"seed = {seed}", limit=1000)
        for run in runs.page(query).runs:
            by_arm.setdefault(run.arm or "", run)
        if len(by_arm) == len(study.arms):
            break
    return {arm.id: by_arm[arm.id] for arm in study.arms if arm.id in by_arm}


def groupings(study: Study, paths: list[str]) -> list[str]:
    """Return what runs can be grouped by: arm, seed, and every field that differs, except between datasets."""
    if study.request.get("datasets"):
        paths = [path for path in paths if not path.startswith("dataset.")]
    return ["arm", *(["seed"] if len(study.seeds) > 1 else []), *paths]


def metrics_of(study: Study, arms: list[Run]) -> list[str]:
    """Return the series that arms can be compared by: those with a better direction."""
    names = {name for run in arms for name in run.last} | {study.metric}
    return sorted(name for name in names if LOWER.search(name) or HIGHER.search(name))
