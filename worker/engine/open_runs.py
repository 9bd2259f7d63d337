"""The runs of a job that have not ended: the orders they got, and what is reported of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from worker.blob_store import StorageOutage
from worker.engine.outcomes import LeaveStatus, outcome_of_leaving
from worker.engine.peak_memory import PeakMemory
from worker.messages import Ended, Message, Noted
from worker.ports import Note, Outcome

T = TypeVar("T")
LOG = logging.getLogger("fitwell.training")
STORAGE_PAUSE_SECONDS = 1.0
"""Pause between two tries to reach the storage."""


class Interrupted(Exception):
    """No run of the job continues; raised while the job waits for the storage."""


class OpenRuns:
    """Runs whose ends have not been reported. Orders may come from another thread.

    As the handler of outages of the storage (``worker.blob_store.OutageHandler``), it waits for as long as the worker
    lives.
    """

    def __init__(self, run_ids: Iterable[str], say: Callable[[Message], None]) -> None:
        self._memory = PeakMemory()
        self._ids = set(run_ids)
        self._say = say
        self._leaving: dict[str, LeaveStatus] = {}
        self._halted = False
        self._lock = threading.Lock()
        self._ordered = threading.Event()
        """Set by an order, which ends a pause."""
        self._waits_since: float | None = None
        """When the storage became unreachable; None if it is not awaited."""

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._ids

    @property
    def ids(self) -> list[str]:
        """Return their ids, sorted."""
        return sorted(self._ids)

    def leave(self, run_ids: Iterable[str], status: LeaveStatus) -> None:
        """Note the order that runs leave with ``status``."""
        with self._lock:
            self._leaving.update(dict.fromkeys(run_ids, status))
        self._ordered.set()

    def halt(self) -> None:
        """Note the order that every run returns to the queue."""
        self._halted = True
        self._ordered.set()

    @property
    def leaving(self) -> dict[str, LeaveStatus]:
        """Return the runs that were ordered to leave, with their statuses."""
        with self._lock:
            return dict(self._leaving)

    @property
    def halted(self) -> bool:
        """Whether every run is to return to the queue."""
        return self._halted

    def note(self, run_ids: Sequence[str], text: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """Add a line to the runs' logs."""
        self._say(Noted(note=Note(run_ids=tuple(run_ids), level=level, text=text)))

    def end(self, outcomes: Iterable[Outcome | None]) -> None:
        """Report the ends of runs, except of those that have ended already."""
        peak = self._memory.bytes
        ends = tuple(
            replace(outcome, peak_bytes=peak)
            for outcome in outcomes
            if outcome is not None and outcome.run_id in self._ids
        )
        self._ids -= {outcome.run_id for outcome in ends}
        if ends:
            self._say(Ended(outcomes=ends))

    def drop(self, run_ids: Iterable[str]) -> None:
        """Report no end of these runs: they return to the queue, or their lease is lost."""
        self._ids -= set(run_ids)

    def among(self, values: Mapping[str, T]) -> dict[str, T]:
        """Return the values of runs that have not ended."""
        return {run_id: value for run_id, value in values.items() if run_id in self._ids}

    def wait_out(self, error: StorageOutage) -> None:
        """Pause before the storage is retried; the first time, note it in the runs' logs.

        Runs that were ordered to leave end here, without a last checkpoint.

        Raises:
            Interrupted: No run of the job continues.
        """
        if self._waits_since is None:
            self._waits_since = time.monotonic()
            LOG.warning("waiting for the storage: %s", error)
            self.note(self.ids, f"waits until the storage can be reached again ({error.reason})", "warning")
        self._ordered.clear()
        self._end_leaving()
        self._ordered.wait(STORAGE_PAUSE_SECONDS)

    def storage_is_back(self) -> None:
        """Note in the runs' logs that the storage is back."""
        if self._waits_since is not None and self._ids:
            seconds = time.monotonic() - self._waits_since
            self.note(self.ids, f"continues after waiting {seconds:.0f} s for the storage")
        self._waits_since = None

    def _end_leaving(self) -> None:
        """End the runs that were ordered to leave, as they were last saved."""
        leaving = self.among(self.leaving)
        if leaving:
            self.note(sorted(leaving), "leaves without a last checkpoint: the storage is out of reach", "warning")
            self.end(outcome_of_leaving(run_id, status) for run_id, status in leaving.items())
            self.drop(leaving)
        if self._halted or not self._ids:
            raise Interrupted
