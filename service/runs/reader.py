"""What is recorded of runs, and what it says: histories, events, reports, logs. Every method is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from service.errors import FieldError, SpecRefused
from service.runs import states
from service.runs import verification as verifications
from service.runs.advice import Advice, advise
from service.runs.errors import NotMeasured
from service.runs.queries import epochs, files, reports
from service.runs.queries import logs as notes
from service.runs.run import Confusion, Event, History, Run, history_of
from service.runs.scope import ScopedRuns
from service.runs.verification import Verification
from service.store import events
from service.store.database import reading
from service.store.rows import Row
from worker.spec.run import RunSpec


class RunReader(ScopedRuns):
    """What workers recorded of runs."""

    def history(self, run_id: str, *, since_epoch: int | None = None, metrics: Sequence[str] | None = None) -> History:
        """The recorded epochs behind ``since_epoch``; all series, or those named.

        Raises:
            RunNotFound: there is no run of this id.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
            recorded = epochs.of_run(connection, row.reused_from or row.id, after=since_epoch)
        return history_of(row, recorded, metrics)

    def history_mark(self, run_id: str) -> str:
        """Names what is recorded of a run: changes with every epoch, rewind and end; cheap.

        Raises:
            RunNotFound: there is no run of this id.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
        return f"{row.revision}.{row.epoch}.{row.status if row.status in states.TERMINAL else 'active'}"

    def events(self, run_id: str | None, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """Events of one run, or of all, behind the id ``after``.

        Raises:
            RunNotFound: there is no run of this id.
        """
        with reading(self._engine) as connection:
            if run_id is not None:
                self._run(connection, run_id)
            found = events.after(connection, run_id, after, limit, owner=self.caller.only)
            return [Event.of(row) for row in found]

    def last_event_id(self) -> int:
        """The newest event's id; cheap."""
        with reading(self._engine) as connection:
            return events.last_id(connection)

    def confusion(self, run_id: str) -> Confusion:
        """How often the finished model gives each class to the test rows of each.

        Raises:
            RunNotFound: there is no run of this id.
            NotMeasured: it has not succeeded, or is never to be tested.
        """
        with reading(self._engine) as connection:
            run = self._run(connection, run_id)
            counts = reports.find(connection, run.reused_from or run.id, "confusion")
        classes = RunSpec.of(run.spec).dataset.classes
        if not classes:
            message = (
                f"The target of {run_id} is a number; there are no classes to confuse. Its history has r2 and rmse."
            )
            raise NotMeasured(message)
        if counts is None:
            why = f"is {run.status!r}" if run.status != "succeeded" else 'was to be tested never ("evaluate.test")'
            raise NotMeasured(f"The confusion matrix is measured when a run succeeds, and {run_id} {why}.")
        return Confusion(run_id, run.epoch, classes, counts)

    def weights(self, run_id: str) -> tuple[Run, Any]:
        """A run, and what its parameters looked like when it ended.

        Raises:
            RunNotFound: there is no run of this id.
            NotMeasured: it has not come to its end.
        """
        with reading(self._engine) as connection:
            run = self._run(connection, run_id)
            found = reports.find(connection, run.reused_from or run.id, "weights")
        if found is None:
            raise NotMeasured(f"Weights are looked at when a run succeeds or diverges, and {run_id} is {run.status!r}.")
        return run, found

    def diagnosis(self, run_id: str, *, reference: str | None = None) -> Advice:
        """What a run's curves say, where given in comparison with another run, and what to try next.

        Raises:
            RunNotFound: there is no run of one of these ids.
            SpecRefused: the other run was trained on other data.
        """
        with reading(self._engine) as connection:
            run, history = self._with_history(connection, run_id)
            other = None if reference is None else self._with_history(connection, reference)
        if other is not None and other[0].spec["dataset"] != run.spec["dataset"]:
            message = f"{reference} was trained on other data than {run_id}; their losses cannot be compared."
            raise SpecRefused(message, errors=[FieldError("reference", "other_data", message)])
        return advise(run, history, self._settings, other)

    def _with_history(self, connection: sa.Connection, run_id: str) -> tuple[Run, History]:
        row = self._row(connection, run_id)
        run = self._run(connection, run_id)
        return run, history_of(row, epochs.of_run(connection, row.reused_from or row.id), None)

    def verification(self, run_id: str) -> Verification:
        """What came of training a run once more.

        Raises:
            RunNotFound: there is none of this id.
            NotMeasured: it was never verified.
        """
        with reading(self._engine) as connection:
            return verifications.get(connection, self._row(connection, run_id))

    def files(self, run_id: str) -> tuple[Sequence[Row], Sequence[Row]]:
        """What is known of a run's checkpoints, newest first, and of its files of weights.

        Raises:
            RunNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
            return files.artifacts(connection, row.reused_from or row.id)

    def log(self, run_id: str, *, after: int, limit: int) -> Sequence[Row]:
        """The lines of a run's log behind the id ``after``, oldest first.

        Raises:
            RunNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
            return notes.of_run(connection, row.reused_from or row.id, after=after, limit=limit)
