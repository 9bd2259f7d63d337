"""The runs that a spec says to train before its run: teachers, and the run whose weights it begins with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from worker.spec.references import Place
from worker.spec.warm_start import source_of

if TYPE_CHECKING:
    from worker.spec.run import RunSpec

MAX_GENERATIONS = 8
"""The longest chain of runs to train before a run."""
SOURCE: Place = ("warm_start", "spec")


def specs_in(run: RunSpec) -> dict[Place, RunSpec]:
    """Return the specs within ``run``, as they are written, with their places; those within them are not included."""
    specs = {(*place, "spec"): one.spec for place, one in run.references().teachers.items() if one.spec is not None}
    start = run.warm_start
    return specs if start is None or start.spec is None else {**specs, SOURCE: start.spec}


def preceding(run: RunSpec) -> dict[Place, RunSpec]:
    """Return the specs of the runs to train before ``run``, with the seeds that they are trained with."""
    source = source_of(run)
    return specs_in(run) | ({} if source is None else {SOURCE: source})


def all_preceding(run: RunSpec) -> Iterator[RunSpec]:
    """Yield all runs to train before ``run``, at any depth; equal ones as often as they are named."""
    for spec in preceding(run).values():
        yield from all_preceding(spec)
        yield spec


def generations(run: RunSpec) -> int:
    """Return the number of generations of runs to train before ``run``."""
    return max((1 + generations(spec) for spec in preceding(run).values()), default=0)
