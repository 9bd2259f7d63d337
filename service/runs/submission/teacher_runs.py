"""Teachers that are trained first: each spec among a student's teachers becomes a run, and the student names that run.

Equal specs are one run: of one request in any case, and unless reuse is refused also a run that has finished, or one
that is on its way. A teacher may itself have teachers.
"""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from service.callers import Caller
from service.errors import FieldError, SpecRefused
from service.runs.queries import files
from service.runs.queries import runs as rows
from service.runs.queries import teachers as store
from service.runs.submission import teachers, warm_starts
from service.runs.submission.creation import Prepared, Wanted, create, prepared
from service.runs.submission.review import NewRun
from service.settings import Settings
from service.store.events import NewEvent
from worker.spec.regularizers.distillation import Teacher


class Hiring:
    """Finds or makes the runs of teachers within one request; ``told`` is what is to be told of those it made."""

    def __init__(self, connection: sa.Connection, settings: Settings, caller: Caller, *, reuse: bool) -> None:
        self._connection = connection
        self._settings = settings
        self._caller = caller
        self._reuse = reuse
        self._known: dict[str, str] = {}
        self.told: list[NewEvent] = []

    def hired(self, new: NewRun) -> NewRun:
        """The run with a run for each of its teachers, named by content where it has ended.

        Raises:
            SpecRefused: a teacher cannot be trained here or has failed before, or does not fit the student.
        """

        def hire(teacher: Teacher, place: str) -> Teacher:
            if teacher.spec is None:
                return teacher
            try:
                run_id = self._run_of(NewRun(teacher.spec, priority=new.priority), teacher.at)
            except SpecRefused as refusal:
                raise refusal.below(f"{place}/spec") from refusal
            return teacher.model_copy(update={"run_id": run_id, "spec": None})

        spec = teachers.changed(new.spec, hire)
        return teachers.resolved(self._connection, replace(new, spec=spec), self._caller, lock=True)

    def _run_of(self, new: NewRun, at: str) -> str:
        """The id of a run that trains this or has done so."""
        named = self.hired(warm_starts.resolved(self._connection, new, self._caller))
        columns = prepared([Wanted(named)], self._settings)
        key = columns[0]["reuse_key"]
        if key not in self._known:
            there = self._there(key, at) if self._reuse else None
            self._known[key] = there or self._made(columns)
        return self._known[key]

    def _there(self, key: str, at: str) -> str | None:
        """A run with this result or on its way to it."""
        finished = rows.finished_equals(self._connection, [key], owner=self._caller.reuses_only).get(key)
        if finished is None:
            return store.active_equal(self._connection, key, owner=self._caller.reuses_only)
        if finished.status != "succeeded":
            message = f"This teacher was trained before, as {finished.id}, and diverged."
            raise SpecRefused(message, errors=[FieldError("", "teacher_failed", message)])
        kept = {file.at for file in files.weights_of(self._connection, finished.id)}
        return finished.id if at in kept else None

    def _made(self, columns: Prepared) -> str:
        most = self._settings.max_study_runs
        if len(self._known) >= most:
            message = f"The teachers are more than {most:,} runs, the most this server takes (FITWELL_MAX_STUDY_RUNS)."
            raise SpecRefused(message, errors=[FieldError("", "too_many_runs", message)])
        (made,), told = create(self._connection, columns, self._settings, reuse=False, caller=self._caller)
        self.told += told
        return made.run_id
