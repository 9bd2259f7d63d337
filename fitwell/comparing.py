"""The function ``compare``, for a study or for any runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack, overload

from fitwell.client import Client
from fitwell.comparison import Comparison, ComparisonOptions
from fitwell.run import Run
from fitwell.run_comparison import RunComparison
from fitwell.runs import Runs
from fitwell.study import Study

RUN = "run_"


@overload
def compare(study: Study, /, **options: Unpack[ComparisonOptions]) -> Comparison: ...
@overload
def compare(runs: Sequence[Run | str], /) -> RunComparison: ...
def compare(one: Study | Sequence[Run | str], /, **options: Unpack[ComparisonOptions]) -> Comparison | RunComparison:
    """Compare the arms of a study, or runs; the result converts to tables and notebooks display it.

    Runs are ``Run`` objects, ids or names; ids and names without a ``Run`` beside them are those of the default server
    (``FITWELL_URL``). Options, such as ``metric`` and ``at``, are those of studies.

    Raises:
        InvalidRequest: A metric, epoch, arm or path does not exist.
        RunNotFound: No run has this id.
        ValueError: No run has a name, or several have it; or runs have options.
    """
    if isinstance(one, Study):
        return one.compare(**options)
    if options:
        raise ValueError(f"Options are those of studies: {', '.join(options)}. Leave them out for runs.")
    if isinstance(one, str) or not one:
        raise ValueError("Pass a list of runs, such as fitwell.compare([first, second]).")
    existing = [run for run in one if isinstance(run, Run)]
    if existing:
        return _compare(Runs(existing[0]._transport), one)
    with Client() as client:
        return _compare(client.runs, one)


def _compare(runs: Runs, references: Sequence[Run | str]) -> RunComparison:
    return runs.compare([one.id if isinstance(one, Run) else _id(runs, one) for one in references])


def _id(runs: Runs, reference: str) -> str:
    """Return the id of the only run with this name; ids are returned as they are."""
    if reference.startswith(RUN):
        return reference
    ids = [run.id for run in runs.list(name=reference, limit=2)]
    if len(ids) != 1:
        count = "Several runs have" if ids else "No run has"
        raise ValueError(f"{count} the name {reference!r}. Use an id.")
    return ids[0]
