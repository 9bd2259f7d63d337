"""Reports: a run or a study as one self-contained HTML file without scripts."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import Refusal, SpecRefused
from service.http.routing import Route
from service.models.dependencies import ModelsDep
from service.models.service import Models
from service.models.snapshots import parameters_at
from service.runs.dependencies import RunReaderDep, RunsDep
from service.runs.differences import differences
from service.runs.history_schemas import DiagnosisView
from service.runs.reader import RunReader
from service.runs.run import History, Run
from service.runs.saved_weights import At
from service.sandbox.predicting.messages import Chosen
from service.studies.across_schemas import AcrossDatasetsView
from service.studies.comparison_schemas import ComparisonView
from service.studies.dependencies import StudiesDep
from service.studies.diagnosis_schemas import StudyDiagnosisView
from service.studies.learning_curve_schemas import LearningCurvesView
from service.studies.learning_curves import has_sizes
from service.studies.service import Studies
from service.studies.study import Study
from service.studies.tuning_schemas import TuneView
from service.web import code
from service.web.assets import assets
from service.web.figures import Line, bars, figure
from service.web.pages.studies import axis_of, has_several_datasets, run_of_each_arm
from service.web.parameters import RunReportQuery, StudyReportQuery
from service.web.rendering import render
from service.web.snapshots import Snapshot
from worker.spec.run import RunSpec

router = APIRouter(include_in_schema=False, route_class=Route)
LOSSES = ("train.loss_eval", "val.loss", "test.loss")
SCORES = ("accuracy", "r2", "rmse", "error")
BANDS = {"std": "mean ± one standard deviation", "quartiles": "median and quartiles"}
MAX_PICTURES = 20
MAX_ROWS = 400
"""Rows of a table; longer ones are thinned."""


@router.get("/runs/{run_id}/report")
async def get_run_report(
    run_id: str, query: Annotated[RunReportQuery, Query()], runs: RunsDep, reader: RunReaderDep, models: ModelsDep
) -> Response:
    """Return the report of a run; its model is that of one epoch throughout."""
    run = await run_in_threadpool(runs.get, run_id)
    history = await run_in_threadpool(reader.history, run_id)
    snapshot = await run_in_threadpool(Snapshot.of, run, reader, query.at)
    diagnosis = await run_in_threadpool(reader.diagnosis, run_id)
    marks = [(run.best["epoch"], f"best {run.best['metric']}")] if run.best else []
    picture = await _picture(run, models, snapshot.at)
    context = {
        "run": run,
        "snapshot": snapshot,
        "diagnosis": DiagnosisView.of(diagnosis),
        "parameters": await _parameters(run, reader, models, snapshot.at),
        "figures": [(title, figure(lines, marks)) for title, lines in _lines(history, run.baseline or {}) if lines],
        "table": _table(history),
        "picture": None if picture is None else base64.b64encode(picture).decode(),
        "text": code.as_json(run.spec),
        "bars": bars,
    }
    return await run_in_threadpool(report_file, "report_run.html", run_id, **context)


@router.get("/studies/{study_id}/report")
def get_study_report(
    study_id: str, query: Annotated[StudyReportQuery, Query()], runs: RunsDep, studies: StudiesDep
) -> Response:
    """Return the report of a study, with the comparison that its page shows."""
    study = studies.get(study_id)
    comparison = ComparisonView.of(studies.compare(study_id, query.question(study.judging.metric)))
    arms = run_of_each_arm(runs, study.judging)
    ((drawn, curves),) = comparison.curves.items()
    lines = [Line(name=one.arm, x=one.epoch, y=one.median or one.mean, low=one.low, high=one.high) for one in curves]
    context = {
        "study": study,
        "tuning": None if study.tune is None else TuneView.of(study, study.tune),
        "comparison": comparison,
        "across": _across(studies, study, query),
        "diagnosis": StudyDiagnosisView.of(studies.diagnose(study_id)),
        "learning_curves": _learning_curves(studies, study, query),
        "figures": [(f"{drawn}, {BANDS[query.band]} over seeds", figure(lines))],
        "axis": axis_of(arms.values()),
        "arms": list(arms),
        "differing": differences([run.spec for run in arms.values()]),
        "text": code.as_json(study.request),
    }
    return report_file("report_study.html", study_id, **context)


def _across(studies: Studies, study: Study, query: StudyReportQuery) -> AcrossDatasetsView | None:
    """Return the comparison over the study's datasets; None if it has one, or they cannot be compared."""
    if not has_several_datasets(study):
        return None
    try:
        across = studies.compare_across(study.id, query.question_across())
    except SpecRefused:  # such as too many arms: the report does without
        return None
    return AcrossDatasetsView.of(across) if across.results is not None else None


def _learning_curves(studies: Studies, study: Study, query: StudyReportQuery) -> LearningCurvesView | None:
    """Return the study's learning curves; None if it has one size, or the metric has no curve."""
    if not has_sizes(study.judging):
        return None
    try:
        return LearningCurvesView.of(studies.learning_curves(study.id, query.curve_query()))
    except SpecRefused:  # such as a metric on training rows: the report does without
        return None


def report_file(template: str, name: str, **context: Any) -> Response:
    """Return the report as an attachment: its inline styles violate the policy of this server's pages."""
    styles = "\n".join(assets().files[f"css/{one}.css"].decode() for one in ("base", "parts", "report"))
    page = render(
        template, styles=re.sub(r"/\*.*?\*/", "", styles, flags=re.DOTALL), version=version("fitwell"), **context
    )
    headers = {
        "content-disposition": f'attachment; filename="{name}.html"',
        "cache-control": "private, no-cache",
    }
    return Response(page, 200, headers, "text/html; charset=utf-8")


def _lines(history: History, baseline: Mapping[str, float | None]) -> list[tuple[str, list[Line]]]:
    """Return the figures of a run: its losses, and its first score, each with what guessing gets on held-out rows."""

    def of(names: Sequence[str]) -> list[Line]:
        measured = [name for name in names if name in history.series]
        lines = [Line(name=name, x=history.epoch, y=history.series[name]) for name in measured]
        level = next((baseline.get(name) for name in measured if not name.startswith("train.")), None)
        guessing = [] if level is None else [Line(name="guessing", x=history.epoch, y=[level] * len(history.epoch))]
        return lines + guessing

    for score in SCORES:
        lines = of([f"train.{score}_eval", f"val.{score}", f"test.{score}"])
        if lines:
            return [("Loss", of(LOSSES) or of(["train.loss"])), (score.capitalize(), lines)]
    return [("Loss", of(LOSSES) or of(["train.loss"]))]


def _table(history: History) -> tuple[list[str], list[list[float | None]]]:
    """Return every series by epoch, thinned to MAX_ROWS."""
    every = -(-len(history.epoch) // MAX_ROWS) or 1
    names = [name for name in history.series if name != "seconds"]
    rows = [
        [epoch, *(history.series[name][i] for name in names)]
        for i, epoch in enumerate(history.epoch)
        if i % every == 0 or i == len(history.epoch) - 1
    ]
    return names, rows


async def _parameters(run: Run, reader: RunReader, models: Models, at: At) -> Sequence[Mapping[str, Any]]:
    """Return a summary of each parameter; empty if the run has not ended, or its model is not stored."""
    try:
        return (await parameters_at(models, reader, run.id, at)).summaries
    except Refusal:  # the report does without
        return ()


async def _picture(run: Run, models: Models, at: At) -> bytes | None:
    """Return predictions on test images as PNG; None if the run has no images, no stored model, or measures no test."""
    spec = RunSpec.of(run.spec)
    dataset = spec.dataset
    if run.status != "succeeded" or len(dataset.shape) < 2 or spec.evaluate.test == "never":
        return None
    chosen = Chosen(split="test", indices=tuple(range(min(MAX_PICTURES, dataset.rows[1]))))
    try:
        return await models.grid(run.id, at, chosen, "light")
    except Refusal:  # no stored model: the report does without this picture
        return None
