"""The queue: runs that train, and those that wait, in the order in which workers claim them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.runs.run import Run
from service.runs.submission.review import estimate
from worker.spec.run import RunSpec


@dataclass(frozen=True)
class QueueEntry:
    """An unfinished run.

    ``position`` counts queued runs from 1; other runs have none. ``seconds`` is the estimated time until the run has
    ended, if workers train the runs ahead of it one by one; runs that share a stack end earlier.
    """

    run: Run
    position: int | None
    seconds: float | None


def entries(runs: Sequence[Run], workers: int) -> list[QueueEntry]:
    """Return the entries of unfinished runs in claim order, which ``workers`` live workers train."""
    ahead, position = 0.0, 0
    listed = []
    for run in runs:
        remaining = _remaining(run)
        if run.status == "running":
            listed.append(QueueEntry(run, None, remaining))
            ahead += remaining
        elif run.status == "queued":
            position += 1
            ahead += remaining
            listed.append(QueueEntry(run, position, ahead / workers if workers else None))
        else:
            listed.append(QueueEntry(run, None, None))
    return listed


def _remaining(run: Run) -> float:
    """Return the estimated seconds of training that a run still needs."""
    if run.eta_seconds is not None:
        return run.eta_seconds
    return estimate(RunSpec.of(run.spec)).seconds * (1 - run.epoch / max(1, run.epochs))
