"""The pages of runs: the list, one run, the form of a new run, and the API reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from service.catalog.presets import presets
from service.http.dependencies import CallerDep
from service.http.routing import Route
from service.runs import states
from service.runs.dependencies import RunReaderDep, RunsDep
from service.runs.errors import NotMeasured
from service.runs.extend import continues_without_rules
from service.runs.history_schemas import DiagnosisView
from service.runs.reader import RunReader
from service.runs.run import Run
from service.studies.dependencies import StudiesDep
from service.web import code
from service.web.listing import GROUPS, SORTS, STATUSES, Listing, list_runs
from service.web.parameters import NewRunQuery, RunPageQuery
from service.web.rendering import render
from service.web.snapshots import Snapshot
from worker.spec.run import RunSpec

router = APIRouter(include_in_schema=False, route_class=Route)
FRESH = {"cache-control": "private, no-cache"}
LOG_LINES = 200
MAX_DRAWN = 20
MAX_CLASSES = 30
"""Classes of a confusion matrix that fit into a page."""
T = TypeVar("T")


@router.get("/")
def get_runs(
    listing: Annotated[Listing, Query()], caller: CallerDep, runs: RunsDep, reader: RunReaderDep, studies: StudiesDep
) -> Response:
    """Render the list of runs."""
    mark = reader.last_event_id()  # read first: an event in between is repeated rather than lost
    run_groups = list_runs(runs, studies, listing)
    page = render(
        "runs.html",
        caller=caller,
        section="runs",
        listing=listing,
        listed=run_groups,
        mark=mark,
        choices={"states": STATUSES, "groups": GROUPS, "sorts": SORTS},
        workers=runs.workers(),
    )
    # Show an address without the form's default values.
    return HTMLResponse(page, 422 if run_groups.error else 200, headers={**FRESH, "hx-push-url": listing.address()})


@router.get("/runs")
def redirect_runs() -> Response:
    """Redirect from the shortened address of a run."""
    return RedirectResponse("/", 308)


@router.get("/runs/new")
def get_new_run(query: Annotated[NewRunQuery, Query()], caller: CallerDep, runs: RunsDep) -> Response:
    """Render the form of a new run, filled in from the run ``from`` if set."""
    spec = dict(runs.get(query.origin).spec) if query.origin else None
    trainable = {name: one for name, one in presets().items() if one.runs}
    page = render("new.html", caller=caller, section="new", presets=trainable, spec=spec)
    return HTMLResponse(page, headers=FRESH)


@router.get("/docs")
def get_docs(caller: CallerDep) -> Response:
    """Render the API reference."""
    return HTMLResponse(render("docs.html", caller=caller, section="docs"), headers=FRESH)


@router.get("/runs/{run_id}")
def get_run(
    request: Request,
    run_id: str,
    query: Annotated[RunPageQuery, Query()],
    caller: CallerDep,
    runs: RunsDep,
    reader: RunReaderDep,
    studies: StudiesDep,
) -> Response:
    """Render one run."""
    mark = reader.last_event_id()
    run = runs.get(run_id)
    spec = RunSpec.of(run.spec)
    server = str(request.base_url).rstrip("/")
    predicts = spec.model.trains and spec.evaluate.test != "never"
    page = render(
        "run.html",
        caller=caller,
        section="runs",
        run=run,
        spec=spec,  # with the defaults that a stored spec omits
        mark=mark,
        study=studies.get(run.study_id) if run.study_id else None,
        server=server,
        code=code_examples(run, server, with_token=caller.token_id is not None),
        actions=actions_for(caller, run),
        changeable=may_change(caller, run.owner),
        continues=caller.has("write") and continues_without_rules(run.status, run.epoch, spec),
        layers=spec.layers,
        trains=spec.model.trains,  # other models have no ONNX file and no predictions
        has_images=len(spec.dataset.shape) > 1 and predicts,
        has_probabilities=bool(spec.dataset.classes) and predicts,
        has_columns=len(spec.dataset.shape) == 1 and predicts,
        importance_split="val" if spec.dataset.validation_rows else "test",
        drawn=MAX_DRAWN,
        log=reader.log(run_id, after=0, limit=LOG_LINES),
        snapshot=Snapshot.of(run, reader, query.at),
        diagnosis=DiagnosisView.of(reader.diagnosis(run_id)),
        has_parameters=_has_parameters(run_id, reader),
        has_confusion=_has_confusion(run_id, reader),
    )
    return HTMLResponse(page, headers=FRESH)


def code_examples(run: Run, server: str, *, with_token: bool) -> dict[str, str]:
    """Return code that submits the run again, by language."""
    body = dict(run.spec) | ({"name": run.name} if run.name else {})
    return {
        "JSON": code.as_json(body),
        "curl": code.as_curl(body, server, with_token=with_token),
        "Python": code.as_python(body, server),
    }


def _has_parameters(run_id: str, reader: RunReader) -> bool:
    """Return whether the run has ended with a model that has parameters."""
    measured = if_measured(lambda: reader.weights(run_id))
    return measured is not None and bool(measured[1])


def _has_confusion(run_id: str, reader: RunReader) -> bool:
    """Return whether the run has a confusion matrix that fits into a page."""
    confusion = if_measured(lambda: reader.confusion(run_id))
    return confusion is not None and len(confusion.classes) <= MAX_CLASSES


def if_measured(read: Callable[[], T]) -> T | None:
    """Return the result of ``read``, or None if it has not been measured."""
    try:
        return read()
    except NotMeasured:
        return None


def may_change(caller: CallerDep, owner: str) -> bool:
    """Return whether the caller may change what belongs to ``owner``."""
    return caller.has("write") and (caller.is_admin or caller.owner == owner)


def actions_for(caller: CallerDep, run: Run) -> tuple[states.Action, ...]:
    """Return the actions on a run that its page offers to the caller."""
    if not may_change(caller, run.owner):
        return ()
    return states.offered(run.status, error_code=run.error_code, determinism_class=run.determinism_class)
