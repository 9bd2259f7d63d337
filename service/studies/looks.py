"""When a study's look is due, and the looks that it inherits from studies whose results it reuses.

A client that stops at a favorable moment, drops runs or tests known results again errs more often than α. So a study
has no verdict before all its planned runs have ended, and another question about known results is another look.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from service.runs.states import TERMINAL
from service.statistics.power import min_seeds
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.replicates import generalizes_over, replicate_numbers, runs_per_arm
from service.studies.schedule import Schedule, schedule_of

ArmKey = tuple[str, str]
"""The arm and reuse key of a run."""
NotYetCode = Literal["runs_unfinished", "runs_cancelled", "runs_deleted", "seeds_left_out", "look_pending", "searching"]
ALPHA = 0.05
"""Significance level of a study, over all its looks."""
MAX_LISTED_SEEDS = 20


@dataclass(frozen=True, kw_only=True)
class NotYet:
    """The reason why a study's look is not due."""

    code: NotYetCode
    message: str
    planned: int
    ended: int
    """Planned runs that succeeded or failed."""


@dataclass(frozen=True, kw_only=True)
class Inherited:
    """The looks that a study inherits with the results that it reuses."""

    looks: int
    studies: Sequence[str]
    """Earlier studies with some of the same runs."""
    seeds: Collection[int]
    """Seeds that those studies have, which this one has to include."""

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of a new study."""
        return {"looks": self.looks, "looks_from": list(self.studies), "seeds_required": sorted(self.seeds)}

    def beside(self, study: Row, results_visible: bool) -> dict[str, Any]:
        """Return the columns of ``study`` with more seeds, added with or without visible results."""
        return {
            "looks": max(self.looks, study.looks + results_visible),
            "looks_from": list(dict.fromkeys([*study.looks_from, *self.studies])),
            "seeds_required": sorted({*self.seeds, *study.seeds_required}),
        }


NOT_INHERITED = Inherited(looks=1, studies=(), seeds=())
"""The looks of a study that tests nothing, such as a search."""


def planned_runs(study: Row) -> int:
    """Return the number of runs that a study's next look compares; decided arms of a sequential study have fewer."""
    seeds = [study.seeds[: arm.get("decided_at")] for arm in study.arms]
    return sum(runs_per_arm(study.request, of_arm) for of_arm in seeds)


def not_yet(study: Row, runs: Sequence[Row]) -> NotYet | None:
    """Return why the study's look is not due; None if it is."""
    pending = incomplete(study, runs)
    if pending is not None or study.tuning_phase is None:
        return pending
    message = "The search chooses a trial of every arm; the confirmation on other seeds decides between them."
    return NotYet(code="searching", message=message, planned=len(runs), ended=len(runs))


def incomplete(study: Row, runs: Sequence[Row]) -> NotYet | None:
    """Return which of the study's planned runs are missing; None if all have succeeded or failed.

    Failed runs are missing pairs. Cancelled and deleted ones were withdrawn by somebody who may have seen results.
    """
    planned = planned_runs(study)
    cancelled = sum(run.status == "cancelled" for run in runs)
    unfinished = sum(run.status not in TERMINAL for run in runs)
    deleted = max(0, planned - len(runs))
    reasons: list[tuple[NotYetCode, str]] = []
    if unfinished:
        reasons.append(("runs_unfinished", f"{unfinished:,} of {planned:,} runs have not ended."))
    if cancelled:
        message = f"{cancelled:,} of {planned:,} runs were cancelled: retry them, or submit the study again."
        reasons.append(("runs_cancelled", message))
    if deleted:
        message = f"{deleted:,} of {planned:,} runs were deleted: submit the study again, which trains only these."
        reasons.append(("runs_deleted", message))
    if left_out := _left_out(replicate_numbers(study.request, study.seeds), study.looks_from, study.seeds_required):
        reasons.append(("seeds_left_out", left_out))
    if not reasons:
        return None
    text = " ".join(message for _, message in reasons)
    ended = len(runs) - cancelled - unfinished
    return NotYet(code=reasons[0][0], message=text, planned=planned, ended=ended)


def _left_out(seeds: Collection[int], studies: Sequence[str], required: Collection[int]) -> str | None:
    """Return a sentence on the required seeds that a study does not have; None if it has them all."""
    missing = sorted(set(required) - set(seeds))
    if not missing:
        return None
    listed = ", ".join(map(str, missing[:MAX_LISTED_SEEDS])) + ", …" * (len(missing) > MAX_LISTED_SEEDS)
    return (
        f"The study leaves out {len(missing):,} seeds of earlier studies of the same arms ({', '.join(studies)}): "
        f"add the seeds {listed}."
    )


def warnings(
    arms: int,
    seeds: Collection[int],
    schedule: Schedule | None,
    looks: int,
    looks_from: Sequence[str],
    required: Collection[int],
) -> list[str]:
    """Return why a study cannot decide anything; empty if it can."""
    if arms == 1:
        return []
    least, sentences = min_seeds(ALPHA / looks, 1), []
    most = len(seeds) if schedule is None else schedule.max
    if most < least:
        message = (
            f"No difference can be significant: at α = {ALPHA / looks:.3g} that takes at least {least} pairs, and the "
            f"study has {most}."
        )
        if looks > 1:
            message += f" It is look {looks} at results of earlier studies ({', '.join(looks_from)})."
        sentences.append(message)
    left_out = _left_out(seeds, looks_from, required)
    return [*sentences, left_out] if left_out else sentences


@dataclass(frozen=True, kw_only=True)
class PlannedStudy:
    """The question of a study, and the runs that answer it."""

    metric: str
    at: str
    epoch_by: str | None
    baseline: str
    seeds: Collection[int]
    """The numbers of the replicates; those of the first look in a sequential study."""
    varied: Sequence[str]
    """The sources of variation that replicates differ in."""
    schedule: Schedule | None
    keys: Collection[ArmKey]
    """Those of all runs."""

    def asks_like(self, earlier: Row) -> bool:
        """Return whether a stored study has the same question, arms and seeds."""
        return (
            (self.metric, self.at, self.baseline) == (earlier.metric, earlier.at, earlier.baseline)
            and self.epoch_by == earlier.request.get("epoch_by")
            and self.varied == generalizes_over(earlier.request)
            and self.schedule == (schedule := schedule_of(earlier.request))
            and (schedule is not None or set(self.seeds) == set(replicate_numbers(earlier.request, earlier.seeds)))
            and {arm for arm, _ in self.keys} == {arm["id"] for arm in earlier.arms}
        )


def inherited(
    connection: sa.Connection, design: PlannedStudy, *, owner: str | None, study_id: str | None = None
) -> Inherited:
    """Return the looks that a new study, or ``study_id`` with more seeds, inherits from studies of equal runs.

    Only runs whose results ``owner`` (None: everybody) may reuse count, whether they have ended or not: several studies
    of the same runs are several looks even if all are submitted in advance. Another
    question is one look more than the earlier study had; exactly the same question is the same look.
    """
    arms = {key: arm for arm, key in design.keys}
    shared: dict[str, set[str]] = {}
    for row in studies.equal_runs(connection, list(arms), owner=owner):
        if row.study_id != study_id:
            shared.setdefault(row.study_id, set()).add(arms[row.reuse_key])
    looks, required = 1, set[int]()
    earlier = studies.by_ids(connection, sorted(shared))
    for row in earlier:
        if study_id is None and design.asks_like(row) and studies.keys_of(connection, row.id) <= set(design.keys):
            return Inherited(looks=row.looks, studies=[*row.looks_from, row.id], seeds=row.seeds_required)
        looks = max(looks, row.looks + 1)
        seeds_chosen = "seed" in design.varied and design.varied == generalizes_over(row.request)
        if len(shared[row.id]) > 1 and seeds_chosen:  # by the differences between arms, seeds could be chosen
            required |= {*row.seeds, *row.seeds_required}
    return Inherited(looks=looks, studies=[row.id for row in earlier], seeds=required)
