"""Access to single runs, limited to what the caller may see and change."""

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
    """Shared base of the services on runs: loads runs that the caller may see, locks those it may change."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def get(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            RunNotFound: No run has this id.
        """
        with reading(self._engine) as connection:
            return self._run(connection, run_id)

    def version(self, run_id: str) -> int:
        """Return the run's version, which counts its visible changes; cheap.

        Raises:
            RunNotFound: No run has this id.
        """
        with reading(self._engine) as connection:
            version: int = self._visible(rows.version(connection, run_id), run_id).version
        return version

    def _row(self, connection: sa.Connection, run_id: str, *, lock: bool = False) -> Row:
        """Return the run's row if the caller may see it."""
        return self._visible(rows.by_id(connection, run_id, lock=lock), run_id)

    def _visible(self, row: Row | None, run_id: str) -> Row:
        if row is None or not self.caller.sees(row.owner):
            raise RunNotFound(f"Run {run_id!r} does not exist. List existing runs with GET /v1/runs.")
        return row

    def _run(self, connection: sa.Connection, run_id: str) -> Run:
        return Run.of(self._row(connection, run_id), rows.live_workers(connection, self._settings.lease_seconds))

    def _locked(self, connection: sa.Connection, run_id: str) -> Row:
        """Return the run's row, locked until the transaction ends, if the caller may change it."""
        row = self._row(connection, run_id, lock=True)
        self.caller.check_owns(row.owner, f"The run {run_id}")
        return row
