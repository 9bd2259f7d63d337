"""Runs for teachers and for warm starts that are given as specs: each becomes a run that the other one references.

Equal specs share one run: always within one request, and unless reuse is off also with a finished or active run. The
run that a warm start needs may also be one of the request's own. Each may need such runs itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from service.callers import Caller
from service.errors import SpecRefused
from service.runs.queries import files
from service.runs.queries import runs as rows
from service.runs.queries import teachers as teacher_rows
from service.runs.run import RunMetadata
from service.runs.submission import teachers, warm_starts
from service.runs.submission.creation import NewRows, PlannedRun, build_rows, create, new_id
from service.runs.submission.new_run import NewRun
from service.settings import Settings
from service.store.events import NewEvent
from worker.spec.keys import reuse_key
from worker.spec.preceding import generations
from worker.spec.teachers import Teacher
from worker.spec.warm_start import source_of


class TeacherRuns:
    """The runs to train before those of one request, reused or created; ``events`` are those of the created ones.

    A study may have a warm start from a run that diverged before: ``ended`` has the status of that run, and the run
    that starts from it fails once it is inserted.
    """

    def __init__(self, connection: sa.Connection, settings: Settings, caller: Caller, *, reuse: bool) -> None:
        self._connection = connection
        self._settings = settings
        self._caller = caller
        self._reuse = reuse
        self._ids: dict[str, str] = {}
        self._planned: dict[str, str] = {}
        self._uninserted: set[str] = set()
        self._in_study = False
        self.events: list[NewEvent] = []
        self.created = 0
        self.ended: dict[str, str] = {}

    def with_all(self, new: NewRun) -> NewRun:
        """Return the run with a run id for each run to train first, and the SHA-256 of the weights of finished ones.

        Raises:
            SpecRefused: Such a run cannot be trained here, has diverged before, or does not fit.
        """
        return self.with_source(self.with_teacher_runs(new))

    def with_sources(self, planned: Sequence[PlannedRun]) -> Sequence[PlannedRun]:
        """Return the runs of a study with the run that each starts from, which may be one of them.

        Raises:
            SpecRefused: A run to start from cannot be trained here, or does not fit.
        """
        self._in_study = True
        named = [replace(one, relations={**one.relations, "id": new_id()}) for one in planned]
        for i in sorted(range(len(named)), key=lambda i: generations(named[i].new.spec)):
            named[i] = replace(named[i], new=self.with_source(named[i].new))
            self._planned.setdefault(reuse_key(named[i].new.spec), named[i].relations["id"])
            self._uninserted.add(named[i].relations["id"])
        return named

    def with_source(self, new: NewRun) -> NewRun:
        """Return the run with the id of the run whose weights it starts from, and with their SHA-256 if they exist.

        Raises:
            SpecRefused: That run cannot be trained here, or its weights do not fit.
        """
        start, source = new.spec.warm_start, source_of(new.spec)
        if start is None or start.sha256 is not None:
            return new
        if source is None:
            return warm_starts.resolve(self._connection, new, self._caller, lock=True)
        first = NewRun(source, RunMetadata(priority=new.metadata.priority))
        try:
            run_id = self._run_of(first, start.at, source=True)
        except SpecRefused as refusal:
            raise refusal.below("/warm_start/spec") from refusal
        waiting = start.model_copy(update={"run_id": run_id, "spec": None, "paired": None, "wait": True})
        new = warm_starts.with_start(new, waiting)
        unresolved = run_id in self.ended or run_id in self._uninserted
        return new if unresolved else warm_starts.resolve(self._connection, new, self._caller, lock=True)

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

    def _run_of(self, new: NewRun, at: str, *, source: bool = False) -> str:
        """Return the id of a run that trains or has trained this teacher, or this ``source`` of a warm start."""
        columns = build_rows([PlannedRun(self.with_all(new))], self._settings)
        key = columns[0]["reuse_key"]
        if key not in self._ids:
            existing = self._find_equal(key, at, source=source) if self._reuse else None
            planned = self._planned.get(key) if source else None
            if existing is None and planned is not None:
                return planned
            self._ids[key] = existing or self._active_equal(key) or self._create(columns)
        return self._ids[key]

    def _find_equal(self, key: str, at: str, *, source: bool) -> str | None:
        """Return a finished run with this reuse key and such weights, or None."""
        finished = rows.finished_equals(self._connection, [key], owner=self._caller.reuses_only).get(key)
        if finished is None:
            return None
        if finished.status != "succeeded":
            if source and self._in_study:
                diverged: str = finished.id
                self.ended[diverged] = finished.status
                return diverged
            message = f"This {'run' if source else 'teacher'} was trained before, as {finished.id}, and diverged."
            raise SpecRefused.at("", "source_failed" if source else "teacher_failed", message)
        stored = {file.at for file in files.weights_of(self._connection, finished.id)}
        return finished.id if at in stored else None

    def _active_equal(self, key: str) -> str | None:
        """Return an active run with this reuse key, or None."""
        if not self._reuse:
            return None
        return teacher_rows.active_equal(self._connection, key, owner=self._caller.reuses_only)

    def _create(self, columns: NewRows) -> str:
        limit = self._settings.max_study_runs
        if len(self._ids) >= limit:
            message = (
                f"The runs to train first are more than {limit:,}, the limit of this server (FITWELL_MAX_STUDY_RUNS)."
            )
            raise SpecRefused.at("", "too_many_runs", message)
        (created,), events = create(
            self._connection, columns, self._settings, reuse=False, caller=self._caller, beside=self.created
        )
        self.events += events
        self.created += 1
        return created.run_id
