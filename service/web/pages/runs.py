"""The pages of runs: all of them, one of them, a new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from service.catalog.presets import presets
from service.http.dependencies import CallerDep, only
from service.runs import states
from service.runs.dependencies import RunReaderDep, RunsDep
from service.runs.errors import NotMeasured
from service.runs.history_schemas import DiagnosisView
from service.runs.pages import NEWEST_FIRST
from service.runs.reader import RunReader
from service.runs.run import Run
from service.studies.dependencies import StudiesDep
from service.web import code
from service.web.listing import GROUPS, SORTS, STATUSES, Group, Listing, State, listed
from service.web.rendering import rendered
from worker.spec.run import RunSpec

router = APIRouter(include_in_schema=False)
FRESH = {"cache-control": "private, no-cache"}
LOG_LINES = 200
MOST_DRAWN = 20
MOST_CLASSES = 30
"""Of a confusion matrix that a page has room for."""
T = TypeVar("T")


@router.get("/", dependencies=[Depends(only("state", "filter", "study_id", "sort", "group", "after"))])
def get_runs(
    caller: CallerDep,
    runs: RunsDep,
    records: RunReaderDep,
    state: Annotated[list[State], Query()] = [],  # noqa: B006
    filter: str = "",  # noqa: A002
    study_id: str = "",
    sort: str = NEWEST_FIRST,
    group: Group = "none",
    after: str = "",
) -> Response:
    """The list of runs."""
    listing = Listing(state=state, filter=filter, study_id=study_id, sort=sort, group=group, after=after)
    mark = records.last_event_id()  # before the runs are read: what happens meanwhile is told once more, not never
    found = listed(runs, listing)
    page = rendered(
        "runs.html",
        caller=caller,
        section="runs",
        listing=listing,
        found=found,
        mark=mark,
        choices={"states": STATUSES, "groups": GROUPS, "sorts": SORTS},
        workers=runs.workers(),
    )
    # The browser's address says what is asked for, without what a form sends besides.
    return HTMLResponse(page, 422 if found.refusal else 200, headers={**FRESH, "hx-push-url": listing.address()})


@router.get("/runs", dependencies=[Depends(only())])
def get_runs_elsewhere() -> Response:
    """Where somebody shortens the address of a run."""
    return RedirectResponse("/", 308)


@router.get("/runs/new", dependencies=[Depends(only("spec", "preset", "arm", "from"))])
def get_new_run(caller: CallerDep, runs: RunsDep, origin: Annotated[str, Query(alias="from")] = "") -> Response:
    """The form of a new run; with ``from`` filled in as a run that is there."""
    given = dict(runs.get(origin).spec) if origin else None
    ready = {name: one for name, one in presets().items() if one.runs}
    page = rendered("new.html", caller=caller, section="new", presets=ready, given=given)
    return HTMLResponse(page, headers=FRESH)


@router.get("/docs", dependencies=[Depends(only())])
def get_docs(caller: CallerDep) -> Response:
    """The API, to be read and tried."""
    return HTMLResponse(rendered("docs.html", caller=caller, section="docs"), headers=FRESH)


SHOWN = ("scale", "x", "smooth", "lines", "zoom", "tab")
"""Parameters by which a page keeps what its reader chose; only its scripts read them."""


@router.get("/runs/{run_id}", dependencies=[Depends(only(*SHOWN))])
def get_run(
    request: Request, run_id: str, caller: CallerDep, runs: RunsDep, records: RunReaderDep, studies: StudiesDep
) -> Response:
    """One run."""
    mark = records.last_event_id()
    run = runs.get(run_id)
    spec = RunSpec.of(run.spec)
    server = str(request.base_url).rstrip("/")
    page = rendered(
        "run.html",
        caller=caller,
        section="runs",
        run=run,
        mark=mark,
        study=studies.get(run.study_id) if run.study_id else None,
        server=server,
        texts=texts_of(run, server, with_token=caller.token_id is not None),
        actions=states.allowed(run.status) if may_change(caller, run.owner) else (),
        trains=spec.model.trains,  # one that does not predicts nothing here: no ONNX, no picture
        has_images=len(spec.dataset.shape) > 1 and spec.model.trains,
        drawn=MOST_DRAWN,
        log=records.log(run_id, after=0, limit=LOG_LINES),
        **found_of(run_id, records),
    )
    return HTMLResponse(page, headers=FRESH)


def texts_of(run: Run, server: str, *, with_token: bool) -> dict[str, str]:
    """What would submit the run again, by form."""
    body = dict(run.spec) | ({"name": run.name} if run.name else {})
    return {
        "JSON": code.as_json(body),
        "curl": code.as_curl(body, server, with_token=with_token),
        "Python": code.as_python(body, server),
    }


def found_of(run_id: str, records: RunReader) -> dict[str, Any]:
    """What a run's measurements say, as its page and its report show it."""
    confusion = measured(lambda: records.confusion(run_id))
    return {
        "diagnosis": DiagnosisView.of(records.diagnosis(run_id)),
        "parameters": measured(lambda: records.weights(run_id)[1]) or [],
        "confusion": confusion if confusion and len(confusion.classes) <= MOST_CLASSES else None,
    }


def measured(read: Callable[[], T]) -> T | None:
    """What ``read`` gives, where it has been measured."""
    try:
        return read()
    except NotMeasured:
        return None


def may_change(caller: CallerDep, owner: str) -> bool:
    """Whether buttons that change something are of use to the caller."""
    return caller.has("write") and (caller.is_admin or caller.owner == owner)
