"""Reads of the records that workers write: histories, events, reports, logs. Every method is one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.errors import SpecRefused
from service.runs import states
from service.runs import verification as verifications
from service.runs.advice import Advice, Recorded, advise
from service.runs.comparison import MAX_COMPARED, Figures, RunComparison, compare
from service.runs.errors import NotMeasured
from service.runs.queries import epochs, files, reports
from service.runs.queries import logs as run_logs
from service.runs.run import Confusion, Event, History, Run, history_of
from service.runs.scope import ScopedRuns
from service.runs.verification import Verification
from service.store import events
from service.store.database import reading
from service.store.rows import Row
from worker.spec.run import RunSpec


class RunReader(ScopedRuns):
    """Reader of the records of runs that the caller may see."""

    def history(self, run_id: str, *, since_epoch: int | None = None, metrics: Sequence[str] | None = None) -> History:
        """Return the epochs after ``since_epoch``, with all series or those in ``metrics``.

        Raises:
            RunNotFound: No run has this id.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
            recorded = epochs.of_run(connection, row.reused_from or row.id, after=since_epoch)
        return history_of(row, recorded, metrics)

    def metrics(self, run_id: str, epoch: int) -> Mapping[str, float | None]:
        """Return the metrics of an epoch; empty if it is not recorded.

        Raises:
            RunNotFound: No run has this id.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
            return epochs.metrics_of(connection, row.reused_from or row.id, epoch)

    def comparison(self, run_ids: Sequence[str]) -> RunComparison:
        """Compare runs with the first one; ids that are repeated count once.

        Raises:
            RunNotFound: No run has one of the ids.
            SpecRefused: There are no ids, or too many.
        """
        ids = [one for one in dict.fromkeys(run_ids) if one]
        if not 1 <= len(ids) <= MAX_COMPARED:
            message = f"These are {len(ids)} runs; send the ids of 1 to {MAX_COMPARED}, separated by commas."
            raise SpecRefused.at("ids", "number_of_runs", message)
        with reading(self._engine) as connection:
            return compare([self._figures(connection, one) for one in ids])

    def _figures(self, connection: sa.Connection, run_id: str) -> Figures:
        row = self._row(connection, run_id)
        run = self._run(connection, run_id)
        if run.best is None:
            return Figures(run, {}, run.last)
        if run.best["epoch"] == run.epoch:
            return Figures(run, run.last, run.last)
        return Figures(run, epochs.metrics_of(connection, row.reused_from or row.id, run.best["epoch"]), run.last)

    def history_mark(self, run_id: str) -> str:
        """Return a token that changes whenever the history does: at each epoch, rewind and end; cheap.

        Raises:
            RunNotFound: No run has this id.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
        return f"{row.revision}.{row.epoch}.{row.status if row.status in states.TERMINAL else 'active'}"

    def events(self, run_id: str | None, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """Return events of one run, or of all visible runs, with ids above ``after``.

        Raises:
            RunNotFound: No run has this id.
        """
        with reading(self._engine) as connection:
            if run_id is not None:
                self._run(connection, run_id)
            rows = events.after(connection, run_id, after, limit, owner=self.caller.only)
            return [Event.of(row) for row in rows]

    def last_event_id(self) -> int:
        """Return the newest event's id; cheap."""
        with reading(self._engine) as connection:
            return events.last_id(connection)

    def confusion(self, run_id: str) -> Confusion:
        """Return the confusion matrix of the finished model on the test rows.

        Raises:
            RunNotFound: No run has this id.
            NotMeasured: The run has not succeeded, is never evaluated on test rows, or has a numeric target.
        """
        with reading(self._engine) as connection:
            run = self._run(connection, run_id)
            counts = reports.find(connection, run.reused_from or run.id, "confusion")
        classes = RunSpec.of(run.spec).dataset.classes
        if not classes:
            message = f"{run_id} predicts a number, so it has no confusion matrix. Its history has r2 and rmse."
            raise NotMeasured(message)
        if counts is None:
            cause = f"is {run.status!r}" if run.status != "succeeded" else 'is never tested ("evaluate.test")'
            raise NotMeasured(f"The confusion matrix is measured when a run succeeds, and {run_id} {cause}.")
        return Confusion(run_id, run.epoch, classes, counts)

    def weights(self, run_id: str) -> tuple[Run, Any]:
        """Return a run and the report on its final weights.

        Raises:
            RunNotFound: No run has this id.
            NotMeasured: The run has neither succeeded nor diverged.
        """
        with reading(self._engine) as connection:
            run = self._run(connection, run_id)
            report = reports.find(connection, run.reused_from or run.id, "weights")
        if report is None:
            raise NotMeasured(f"Weights are measured when a run succeeds or diverges, and {run_id} is {run.status!r}.")
        return run, report

    def diagnosis(self, run_id: str, *, reference: str | None = None) -> Advice:
        """Diagnose a run from its curves, optionally against a reference run, and suggest what to try next.

        Raises:
            RunNotFound: A run does not exist.
            SpecRefused: The reference was trained on another dataset.
        """
        with reading(self._engine) as connection:
            recorded = self._recorded(connection, run_id)
            other = None if reference is None else self._recorded(connection, reference)
        if other is not None and other.run.spec["dataset"] != recorded.run.spec["dataset"]:
            message = f"{reference} was trained on another dataset than {run_id}, so their losses are not comparable."
            raise SpecRefused.at("reference", "other_data", message)
        return advise(recorded, self._settings, other)

    def _recorded(self, connection: sa.Connection, run_id: str) -> Recorded:
        row = self._row(connection, run_id)
        history = history_of(row, epochs.of_run(connection, row.reused_from or row.id), None)
        confusion = None if row.baseline else reports.find(connection, row.reused_from or row.id, "confusion")
        class_counts = None if confusion is None else [sum(counts) for counts in confusion]
        return Recorded(self._run(connection, run_id), history, class_counts)

    def verification(self, run_id: str) -> Verification:
        """Return the newest verification of a run.

        Raises:
            RunNotFound: No run has this id.
            NotMeasured: The run was never verified.
        """
        with reading(self._engine) as connection:
            return verifications.get(connection, self._row(connection, run_id))

    def files(self, run_id: str) -> tuple[Sequence[Row], Sequence[Row]]:
        """Return the rows of a run's checkpoints, newest first, and of its weights files.

        Raises:
            RunNotFound: No run has this id.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
            return files.artifacts(connection, row.reused_from or row.id)

    def log(self, run_id: str, *, after: int, limit: int) -> Sequence[Row]:
        """Return the lines of a run's log with ids above ``after``, oldest first.

        Raises:
            RunNotFound: No run has this id.
        """
        with reading(self._engine) as connection:
            row = self._row(connection, run_id)
            return run_logs.of_run(connection, row.reused_from or row.id, after=after, limit=limit)
