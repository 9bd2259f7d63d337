"""Runs for teachers that are given as specs: each becomes a run that the student references.

Equal specs share one run: always within one request, and unless reuse is off also with a finished or active run. A
teacher may have teachers of its own.
"""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from service.callers import Caller
from service.errors import SpecRefused
from service.runs.queries import files
from service.runs.queries import runs as rows
from service.runs.queries import teachers as teacher_rows
from service.runs.run import RunMetadata
from service.runs.submission import teachers, warm_starts
from service.runs.submission.creation import NewRows, PlannedRun, build_rows, create
from service.runs.submission.new_run import NewRun
from service.settings import Settings
from service.store.events import NewEvent
from worker.spec.teachers import Teacher


class TeacherRuns:
    """The runs of teachers within one request, reused or created; ``events`` are those of the created ones."""

    def __init__(self, connection: sa.Connection, settings: Settings, caller: Caller, *, reuse: bool) -> None:
        self._connection = connection
        self._settings = settings
        self._caller = caller
        self._reuse = reuse
        self._ids: dict[str, str] = {}
        self.events: list[NewEvent] = []

    def with_teacher_runs(self, new: NewRun) -> NewRun:
        """Return the run with a run id for each teacher, and the SHA-256 of the weights of finished teachers.

        Raises:
            SpecRefused: A teacher cannot be trained here, has diverged before, or does not fit the student.
        """

        def with_run(teacher: Teacher, place: str) -> Teacher:
            if teacher.spec is None:
                return teacher
            try:
                run_id = self._run_of(NewRun(teacher.spec, RunMetadata(priority=new.metadata.priority)), teacher.at)
            except SpecRefused as refusal:
                raise refusal.below(f"{place}/spec") from refusal
            return teacher.model_copy(update={"run_id": run_id, "spec": None})

        spec = teachers.map_teachers(new.spec, with_run)
        return teachers.resolve(self._connection, replace(new, spec=spec), self._caller, lock=True)

    def _run_of(self, new: NewRun, at: str) -> str:
        """Return the id of a run that trains or has trained this teacher."""
        resolved = self.with_teacher_runs(warm_starts.resolve(self._connection, new, self._caller))
        columns = build_rows([PlannedRun(resolved)], self._settings)
        key = columns[0]["reuse_key"]
        if key not in self._ids:
            existing = self._find_equal(key, at) if self._reuse else None
            self._ids[key] = existing or self._create(columns)
        return self._ids[key]

    def _find_equal(self, key: str, at: str) -> str | None:
        """Return a finished or active run with this reuse key, or None."""
        finished = rows.finished_equals(self._connection, [key], owner=self._caller.reuses_only).get(key)
        if finished is None:
            return teacher_rows.active_equal(self._connection, key, owner=self._caller.reuses_only)
        if finished.status != "succeeded":
            message = f"This teacher was trained before, as {finished.id}, and diverged."
            raise SpecRefused.at("", "teacher_failed", message)
        stored = {file.at for file in files.weights_of(self._connection, finished.id)}
        return finished.id if at in stored else None

    def _create(self, columns: NewRows) -> str:
        limit = self._settings.max_study_runs
        if len(self._ids) >= limit:
            message = f"The teachers need more than {limit:,} runs, the limit of this server (FITWELL_MAX_STUDY_RUNS)."
            raise SpecRefused.at("", "too_many_runs", message)
        (created,), events = create(self._connection, columns, self._settings, reuse=False, caller=self._caller)
        self.events += events
        return created.run_id
