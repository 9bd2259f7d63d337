"""Takes the looks of sequential studies, and queues the seeds of the next ones.

A look is due when all its runs have ended. Taking it and queueing the next seeds are transactions of their own, each of
which happens once: the row of the study is locked, and a look is recorded only if it is still the next one. So several
services may do this at once, and one that is killed is taken over by any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from service.callers import Caller
from service.errors import Refusal, SpecRefused
from service.runs import states
from service.runs.actions import act
from service.runs.queries import runs as rows
from service.runs.run import RunMetadata
from service.runs.submission import dataset_refs
from service.runs.submission.creation import build_rows
from service.runs.submission.new_run import NewRun
from service.runs.submission.teacher_runs import TeacherRuns
from service.settings import Settings
from service.store import events
from service.store.database import reading, writing
from service.store.events import NewEvent
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.comparison import own_samples
from service.studies.expansion import Arm, Plan
from service.studies.looks import ALPHA, not_yet
from service.studies.queueing import insert, runs_of_arms, with_preceding_runs
from service.studies.reason_log import ReasonLog
from service.studies.schedule import Schedule, schedule_of
from service.studies.sequential import decisions, results_at, stored
from worker.spec.run import RunSpec
from worker.spec.warm_start import WarmStart

CANCELLED = "The study was cancelled. Submit it again to continue; it reuses the results."
PlanOf = Callable[[Mapping[str, Any]], Plan]
"""Turns the stored request of a study into its plan."""


class Sequencer:
    """The looks of all sequential studies of a database."""

    def __init__(self, engine: sa.Engine, settings: Settings, plan_of: PlanOf) -> None:
        self._engine = engine
        self._settings = settings
        self._plan_of = plan_of
        self._reasons = ReasonLog()

    def advance(self) -> int:
        """Take every look that is due, and queue the seeds that follow; return the number of looks taken."""
        with reading(self._engine) as connection:
            ready = studies.ready(connection)
        count = 0
        for study_id in ready:
            try:
                count += self.take_look(study_id)
                self.queue_seeds(study_id)
            except Refusal as refusal:
                self._reasons.warn("cannot queue the next seeds of %s: %s", study_id, refusal.detail)
            except Exception as error:  # the next round tries again
                self._reasons.warn("cannot take the next look of %s: %r", study_id, error)
        return count

    def take_look(self, study_id: str) -> bool:
        """Take the look of a study if it is due, and return whether it was."""
        with reading(self._engine) as connection:
            study = studies.by_id(connection, study_id)
            if study is None or study.next_look is None or len(study.seeds) < study.next_look:
                return False
            runs = studies.runs_of(connection, study_id)
            if not_yet(study, runs) is not None:
                return False
            samples = own_samples(connection, study)
        if not any(len(sample.differences) or sample.some_diverged for sample in samples):
            return self._stop(study, f"No two arms have a value of {study.metric!r} at the same seed.")
        results = results_at(study, samples, study.next_look, study.request.get("min_effect"))
        decided = decisions(results)
        arms = [{**arm, "decided_at": decided[arm["id"]]} if arm["id"] in decided else arm for arm in study.arms]
        schedule = schedule_of(study.request)
        assert schedule is not None, f"{study_id} has fixed seeds"
        following = None if len(decided) == len(samples) else _after(schedule, study.next_look)
        with writing(self._engine) as connection:
            current = studies.by_id(connection, study_id, lock=True)
            if current is None or current.next_look != study.next_look or studies.runs_of(connection, study_id) != runs:
                return False
            studies.insert_look(connection, study_id, study.next_look, stored(results))
            studies.change(connection, study_id, {"next_look": following, "arms": arms})
            data = {"study_id": study_id, "seeds": study.next_look, "next_look": following}
            events.append(connection, [NewEvent(runs[-1].id, studies.LOOK, data)])
        return True

    def _stop(self, study: Row, reason: str) -> bool:
        """End a study of which nothing can be compared; return that no look was taken."""
        with writing(self._engine) as connection:
            current = studies.by_id(connection, study.id, lock=True)
            if current is not None and current.next_look == study.next_look:
                events.append(connection, stop(connection, current, reason))
        return False

    def queue_seeds(self, study_id: str) -> None:
        """Queue the missing seeds of a study's next look for its undecided arms and the baseline.

        Raises:
            QuotaExceeded: The owner has too many unfinished runs.
            StorageFull: The disk is nearly full.
        """
        with reading(self._engine) as connection:
            study = studies.by_id(connection, study_id)
            if study is None or study.next_look is None or len(study.seeds) >= study.next_look:
                return
            models = studies.run_of_each_arm(connection, study_id)
            drawn = {arm for arm in models if studies.data_vary(connection, study_id, arm)}
        schedule = schedule_of(study.request)
        assert schedule is not None, f"{study_id} has fixed seeds"
        seeds = schedule.seeds(study.next_look)
        plan = replace(self._plan_of(study.request), seeds=seeds[len(study.seeds) :])
        arms = [
            _arm(arm, models[arm["id"]], data_drawn=arm["id"] in drawn)
            for arm in study.arms
            if not arm.get("decided_at") and arm["id"] in models
        ]
        columns = build_rows(runs_of_arms(study_id, arms, plan), self._settings)
        caller = owner_of(study, self._settings)
        with writing(self._engine) as connection:
            current = studies.by_id(connection, study_id, lock=True)
            if current is None or (current.next_look, current.seeds) != (study.next_look, study.seeds):
                return
            first = TeacherRuns(connection, self._settings, caller, reuse=True)
            try:
                dataset_refs.lock(connection, [arm.run.spec for arm in arms], caller)
                columns = with_preceding_runs(first, study_id, arms, plan, columns, self._settings)
            except SpecRefused as refusal:
                events.append(connection, stop(connection, current, f"It cannot continue: {refusal.detail}"))
                return
            before = models[study.baseline].id
            new_events = insert(connection, columns, first, self._settings, reuse=True, caller=caller)
            studies.change(connection, study_id, {"seeds": seeds})
            added = NewEvent(before, studies.SEEDS, {"study_id": study_id, "seeds": len(seeds)})
            events.append(connection, [added, *new_events])


def stop(connection: sa.Connection, study: Row, reason: str) -> list[NewEvent]:
    """End a locked sequential study before its arms are decided; return the events."""
    studies.change(connection, study.id, {"next_look": None, "stop_reason": reason})
    last = studies.newest_run(connection, study.id)
    data = {"study_id": study.id, "seeds": len(study.seeds), "next_look": None}
    return [] if last is None else [NewEvent(last, studies.LOOK, data)]


def cancel_runs(connection: sa.Connection, study: Row) -> list[NewEvent]:
    """Cancel the unfinished runs and the further looks of a locked study; return the events."""
    new_events = []
    for row in studies.unfinished(connection, study.id):
        current = rows.by_id(connection, row.id)  # failed already if its teacher was cancelled before it
        if current is not None and current.status not in states.TERMINAL:
            new_events += act(connection, current, "cancel")
    return new_events if study.next_look is None else new_events + stop(connection, study, CANCELLED)


def stop_tuning(connection: sa.Connection, study: Row, reason: str) -> list[NewEvent]:
    """End a locked tuned study before its confirmation has ended; return the events."""
    studies.change(connection, study.id, {"tuning_phase": "stopped", "stop_reason": reason})
    return end_of_tuning(connection, study)


def end_of_tuning(connection: sa.Connection, study: Row) -> list[NewEvent]:
    """Return the event that a tuned study has ended; none if all its runs were deleted."""
    last = studies.newest_run(connection, study.id)
    return [] if last is None else [NewEvent(last, studies.TUNED, {"study_id": study.id})]


def check_steps(caller: Caller, schedule: Schedule, runs_per_seed: int, pointer: str = "/seeds") -> None:
    """Refuse a schedule whose looks need more runs at a time than the caller may have.

    Raises:
        SpecRefused: A look needs more.
    """
    runs = schedule.largest_step * runs_per_seed
    if caller.max_active_runs is not None and runs > caller.max_active_runs:
        message = (
            f"A look would train {runs:,} runs at a time; the token allows {caller.max_active_runs:,}. Lower first and "
            "step."
        )
        raise SpecRefused.at(pointer, "over_quota", message)


def _after(schedule: Schedule, seeds: int) -> int | None:
    """Return the number of seeds at the look after the one at ``seeds``; None if it is the last."""
    return next((n for n in schedule.design(ALPHA).looks if n > seeds), None)


def _arm(arm: Mapping[str, Any], run: Row, *, data_drawn: bool) -> Arm:
    """Return an arm of a study with the spec and the metadata of its stored run, whatever has changed since.

    ``data_drawn`` is whether the arm's data are drawn by the seed of each run; then the stored run has its own.
    """
    metadata = RunMetadata.model_validate({name: getattr(run, name) for name in RunMetadata.model_fields})
    spec = RunSpec.of(run.spec)
    if "warm_start" in arm:  # the stored run names the one that its own seed starts from
        spec = spec.model_copy(update={"warm_start": WarmStart.model_validate_json(json.dumps(arm["warm_start"]))})
    if data_drawn:
        spec = spec.model_copy(update={"dataset": spec.dataset.unseeded()})
    return Arm(arm["id"], arm["name"], arm["values"], NewRun(spec, metadata))


def owner_of(study: Row, settings: Settings) -> Caller:
    """Return the owner of a study, with the quota of the token that created it."""
    return Caller(
        owner=study.owner,
        scopes=("write",),
        max_active_runs=study.quota,
        shares_runs=settings.share_runs,
        shares_results=settings.shares_results,
    )
