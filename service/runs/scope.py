"""Runs in one database, as whoever asks sees them."""

from __future__ import annotations

import sqlalchemy as sa

from service.callers import CallerScoped
from service.runs.errors import RunNotFound
from service.runs.queries import runs as rows
from service.runs.run import Run
from service.settings import Settings
from service.store.database import reading
from service.store.rows import Row


class ScopedRuns(CallerScoped):
    """What the rules of runs share: which run is there for the caller, and which is the caller's to change."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def get(self, run_id: str) -> Run:
        """One run.

        Raises:
            RunNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            return self._run(connection, run_id)

    def version(self, run_id: str) -> int:
        """The counter of a run's visible changes; cheap.

        Raises:
            RunNotFound: there is none of this id.
        """
        with reading(self._engine) as connection:
            version: int = self._seen(rows.version(connection, run_id), run_id).version
        return version

    def _row(self, connection: sa.Connection, run_id: str, *, lock: bool = False) -> Row:
        """The run as it is stored, if the caller sees it."""
        return self._seen(rows.by_id(connection, run_id, lock=lock), run_id)

    def _seen(self, row: Row | None, run_id: str) -> Row:
        if row is None or not self.caller.sees(row.owner):
            raise RunNotFound(f"There is no run {run_id!r}. GET /v1/runs lists those there are.")
        return row

    def _run(self, connection: sa.Connection, run_id: str) -> Run:
        return Run.of(self._row(connection, run_id), rows.live_workers(connection, self._settings.lease_seconds))

    def _locked(self, connection: sa.Connection, run_id: str) -> Row:
        """The run, which is the caller's to change; nobody else does until the transaction is over."""
        row = self._row(connection, run_id, lock=True)
        self.caller.check_owns(row.owner, f"The run {run_id}")
        return row
