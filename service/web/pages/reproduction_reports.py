"""Reports of reproductions: one self-contained HTML file without scripts, or the claims as CSV or JSON."""

from __future__ import annotations

import csv
import io

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.errors import NotAcceptable, SpecRefused, Unavailable
from service.http.negotiation import preferred
from service.http.problems import problems
from service.http.routing import Route
from service.reproductions.definition import Reproduction, Scale
from service.reproductions.dependencies import ReproductionsDep
from service.reproductions.errors import ReproductionNotFound
from service.reproductions.parameters import ReportFormat, ReportParams
from service.reproductions.schemas import FigureView, ReproductionView
from service.reproductions.state import ReproductionState
from service.studies.dependencies import StudiesDep
from service.studies.question import Question
from service.studies.service import Studies
from service.web import code
from service.web.figures import Figure, Line, figure
from service.web.pages.reports import report_file

router = APIRouter(prefix="/v1/reproductions", tags=["reproductions"], route_class=Route)
FORMATS: dict[str, ReportFormat] = {"text/html": "html", "application/json": "json", "text/csv": "csv"}
COLUMNS = (
    *("claim", "statement", "expected", "verdict", "metric", "at", "arm", "against"),
    *("n", "mean", "std", "low", "high", "p_adjusted", "diverged", "missing", "rule", "study_id"),
)


@router.get(
    "/{name}/report",
    operation_id="get_reproduction_report",
    response_model=ReproductionView,
    responses={
        200: {"content": {"text/html": {}, "text/csv": {}}},
        **problems(ReproductionNotFound, NotAcceptable, SpecRefused, Unavailable),
    },
)
def get_reproduction_report(
    request: Request, name: str, query: ReportParams, reproductions: ReproductionsDep, studies: StudiesDep
) -> Response:
    """Return the claims of a reproduction with their rules, figures and verdicts, all from the runs, as one file."""
    report_format = query.format or _accepted(request.headers.get("accept", "*/*"))
    state = reproductions.get(name, query.scale)
    view = ReproductionView.of_state(state)
    if report_format == "json":
        return Response(view.model_dump_json(by_alias=True), 200, {"vary": "Accept"}, "application/json")
    if report_format == "csv":
        return Response(_csv(view), 200, {"vary": "Accept"}, "text/csv")
    return report_file(
        "report_reproduction.html",
        f"{name}-{query.scale}",
        view=view,
        figures=_figures(state, studies),
        text=_definition(state.definition, query.scale),
    )


def _accepted(accept: str) -> ReportFormat:
    """Return the format that the client prefers; ``*/*`` means HTML.

    Raises:
        NotAcceptable: ``accept`` names none of the formats.
    """
    media_type = preferred(accept, list(FORMATS))
    if media_type is None:
        known = ", ".join(FORMATS)
        raise NotAcceptable(f"A report is available as {known}, not as {accept!r}. Or set ?format=csv.")
    return FORMATS[media_type]


def _csv(view: ReproductionView) -> str:
    """Return a line for each figure of each claim; a claim without figures has one line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for claim in view.claims:
        result = claim.result
        row = {"claim": claim.name, **claim.model_dump(include={"statement", "expected"}), "rule": claim.rule_text}
        if result is not None:
            row |= result.model_dump(include={"verdict", "metric", "at", "study_id"})
        for one in (result.figures if result is not None else ()) or (None,):
            writer.writerow(row if one is None else {**row, **_cells(one)})
    return text.getvalue()


def _cells(one: FigureView) -> dict[str, object]:
    low, high = (None, None) if one.ci is None else one.ci
    names = {"arm", "against", "n", "mean", "std", "p_adjusted", "diverged", "missing"}
    return {**one.model_dump(include=names), "low": low, "high": high}


def _figures(state: ReproductionState, studies: Studies) -> list[tuple[str, Figure | None]]:
    """Return the mean curves of each study's metric."""
    drawn = []
    for name, study in state.studies.items():
        if study is None:
            continue
        metric = study.judging.metric
        curves = studies.compare(study.id, Question(curves=(metric,))).curves[metric]
        lines = [Line(name=one.group, x=one.epoch, y=one.mean, low=one.low, high=one.high) for one in curves]
        drawn.append((f"{name}: {metric}", figure(lines)))
    return drawn


def _definition(definition: Reproduction, scale: Scale) -> str:
    """Return what was fixed before any run: the studies and the rules."""
    rules = {name: claim.rule.model_dump(mode="json") for name, claim in definition.claims_at(scale).items()}
    return code.as_json({"studies": definition.studies[scale], "rules": rules})
