"""The insertion of a study's runs, with the runs to train before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from service.callers import Caller
from service.runs import students
from service.runs.submission.creation import NewRows, PlannedRun, build_rows, create
from service.runs.submission.teacher_runs import TeacherRuns
from service.settings import Settings
from service.store.events import NewEvent
from service.studies.expansion import Arm, Plan


def runs_of_arms(study_id: str, arms: Sequence[Arm], plan: Plan) -> list[PlannedRun]:
    """Return the study's runs, seed by seed, so that pairs complete early."""
    return [
        PlannedRun(arm.at(*replicate), {"study_id": study_id, "arm": arm.id})
        for replicate in plan.replicates
        for arm in arms
    ]


def with_preceding_runs(
    first: TeacherRuns, study_id: str, arms: Sequence[Arm], plan: Plan, columns: NewRows, settings: Settings
) -> NewRows:
    """Return the columns of the study's runs, naming the runs to train first; ``columns`` if none need any.

    Teachers are those of an arm, but each run of an arm may start from the weights of another run.

    Raises:
        SpecRefused: A run to train first cannot be trained here, or does not fit.
    """
    taught = [replace(arm, run=first.with_teacher_runs(arm.run)) for arm in arms]
    if any(_has_source(arm) for arm in arms):
        return build_rows(first.with_sources(runs_of_arms(study_id, taught, plan)), settings)
    if all(after.run is before.run for after, before in zip(taught, arms, strict=True)):
        return columns
    return build_rows(runs_of_arms(study_id, taught, plan), settings)


def insert(
    connection: sa.Connection,
    columns: NewRows,
    first: TeacherRuns,
    settings: Settings,
    *,
    reuse: bool,
    caller: Caller,
) -> list[NewEvent]:
    """Insert the study's runs, and return their events and those of the runs to train first.

    Raises:
        QuotaExceeded: The owner has too many unfinished runs.
        SpecRefused: These runs alone exceed the quota.
        StorageFull: A run is to be trained, and the disk is nearly full.
    """
    created, events = create(connection, columns, settings, reuse=reuse, caller=caller, beside=first.created)
    reused = {run.run_id: run.source.status for run in created if run.source is not None}
    awaited = {row["waits_for"] for row in columns if row["waits_for"] is not None}
    ended = {run_id: status for run_id, status in (first.ended | reused).items() if run_id in awaited}
    return [*first.events, *events, *students.after_all(connection, ended)]


def _has_source(arm: Arm) -> bool:
    """Return whether the runs of an arm start from the weights of runs to wait for, or to train first."""
    start = arm.run.spec.warm_start
    return start is not None and (start.spec is not None or start.pending)
