"""Sequential studies: the results of their looks, and what they decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from service.statistics.comparison import Comparison, with_sequential
from service.statistics.pairing import PairedSample
from service.statistics.sequential import SequentialResult, analyze
from service.store.rows import Row
from service.studies.looks import ALPHA, NotYet, not_yet
from service.studies.schedule import Schedule, schedule_of

RESULTS = TypeAdapter(list[SequentialResult])
Ended = Literal["decided", "max_reached", "stopped"]


@dataclass(frozen=True, kw_only=True)
class TakenLook:
    """A look of a sequential study."""

    seeds: int
    alpha_spendable: float
    """α that may have been spent by this look."""
    decided: Sequence[str]
    """Arms that it decided."""
    taken_at: float


@dataclass(frozen=True, kw_only=True)
class Course:
    """How far a sequential study has come."""

    schedule: Schedule
    decisive_from: int | None
    """The first look at which a difference can be significant."""
    looks: Sequence[TakenLook]
    next_look: int | None
    """Number of seeds at the next look; None once the study has ended."""
    ended: Ended | None
    stop_reason: str | None


def results_at(
    study: Row, samples: Sequence[PairedSample], seeds: int, min_effect: float | None
) -> list[SequentialResult]:
    """Return the results of a study's look at this number of seeds."""
    schedule = schedule_of(study.request)
    assert schedule is not None, f"{study.id} has fixed seeds"
    design = schedule.design(ALPHA / study.looks)
    return list(analyze(design, samples, schedule.seeds(seeds), min_effect=min_effect).results)


def stored(results: Sequence[SequentialResult]) -> list[dict[str, Any]]:
    """Return the results as they are stored."""
    return [asdict(result) for result in results]


def course_of(study: Row, schedule: Schedule, looks: Sequence[Row]) -> Course:
    """Return how far the study has come with its stored ``looks``."""
    design = schedule.design(ALPHA / study.looks)
    past = [
        TakenLook(
            seeds=look.seeds,
            alpha_spendable=design.spendable(look.seeds),
            decided=[arm["id"] for arm in study.arms if arm.get("decided_at") == look.seeds],
            taken_at=look.taken_at,
        )
        for look in looks
    ]
    ended: Ended | None = None
    if study.next_look is None:
        undecided = undecided_arms(study)
        ended = "stopped" if study.stop_reason is not None else "max_reached" if undecided else "decided"
    return Course(
        schedule=schedule,
        decisive_from=design.decisive_from,
        looks=past,
        next_look=study.next_look,
        ended=ended,
        stop_reason=study.stop_reason,
    )


def undecided_arms(study: Row) -> list[str]:
    """Return the arms that a study has not decided, without the baseline."""
    return [arm["id"] for arm in study.arms if arm["id"] != study.baseline and not arm.get("decided_at")]


def why_not_yet(study: Row, runs: Sequence[Row], looks: Sequence[Row], schedule: Schedule) -> NotYet | None:
    """Return why some arms of a sequential study have no verdict yet; None if all that can have one do."""
    reached = looks[-1].seeds if looks else 0
    so_far = f"Undecided after {reached} of up to {schedule.max} seeds. " if reached else ""
    if study.next_look is None:
        if study.stop_reason is None:
            return None
        message = f"{so_far}{study.stop_reason}"
        ended = sum(run.status in ("succeeded", "failed") for run in runs)
        return NotYet(code="runs_cancelled", message=message, planned=len(runs), ended=ended)
    pending = not_yet(study, runs)
    if pending is None:
        queued = len(study.seeds) >= study.next_look
        wait = "is about to be taken" if queued else "follows once its runs are within the quota and the disk has room"
        message = f"{so_far}The look at {study.next_look} seeds {wait}."
        return NotYet(code="look_pending", message=message, planned=len(runs), ended=len(runs))
    return NotYet(code=pending.code, message=so_far + pending.message, planned=pending.planned, ended=pending.ended)


def judged(comparison: Comparison, results: Sequence[SequentialResult], *, ended: bool) -> Comparison:
    """Return an untested comparison with the verdicts of a look; pairs are undecided once the study has ``ended``."""
    by_pair = {(result.group, result.baseline): result for result in results}
    return with_sequential(comparison, by_pair, ended=ended)


def parsed(look: Row) -> list[SequentialResult]:
    """Return the stored results of a look."""
    return RESULTS.validate_python(look.results)


def decisions(results: Sequence[SequentialResult]) -> Mapping[str, int]:
    """Return the number of seeds with which each decided arm was decided."""
    return {result.group: result.decided_at for result in results if result.decided_at is not None}
