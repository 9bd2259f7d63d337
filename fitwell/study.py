"""A study as the client sees it, and what can be asked of it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, Unpack

import httpx2

from fitwell.comparison import Candidate, Choice, Comparison, Group, Pair, Question
from fitwell.errors import TimedOut
from fitwell.history import History
from fitwell.notebook import html_of_study
from fitwell.requests import Pause, Plan, Request, Telling, answered, file_of, heard, pages, place, read, saved
from fitwell.run import Run
from fitwell.run_views import Event, event_of
from fitwell.sync_async import Live, M, View, call, listing
from fitwell.transport import AsyncTransport

__all__ = [
    "Arm", "AsyncStudy", "Candidate", "Choice", "Comparison", "Group", "Pair", "Study", "compare",
]  # fmt: skip
POLL_SECONDS = 0.5
RUN_ENDS = ("run.succeeded", "run.failed", "run.cancelled")
BEGINS_AGAIN = ("run.queued", "run.requeued")


class ReportQuestion(TypedDict, total=False):
    """What a report of a study compares; what is left out is as the study was made for."""

    metric: str | None
    at: str | None
    by: Sequence[str] | None
    pairs: str | None
    curve: str | None


class Arm(View):
    """One arm of a study, and how many of its runs are in each status."""

    id: str
    name: str
    values: dict[str, Any]
    runs: int
    by_status: dict[str, int]


class StudyProgress(View):
    """How far a study has come: runs by status, and epochs of all runs together."""

    runs: int
    by_status: dict[str, int]
    epoch: int
    epochs: int


class Study(Live[M]):
    """A study as it was when it was read; ``refresh`` reads it again. In a notebook it is its comparison."""

    id: str
    owner: str | None = None
    name: str | None
    status: str
    terminal: bool
    metric: str
    at: str
    baseline: str
    looks: int
    seeds: list[int]
    folds: int | None = None
    arms: list[Arm]
    progress: StudyProgress
    created_at: str | None = None
    finished_at: str | None = None

    @property
    def path(self) -> str:
        """Where the server has it."""
        return place("studies", self.id)

    @call
    def refresh(self) -> Plan[Study[M]]:
        """The study as it is now."""
        return (yield from self._answered(Request("GET", self.path)))

    @call
    def wait(self, timeout: float | None = None) -> Plan[Study[M]]:
        """The study when every run has ended.

        Raises:
            TimedOut: that took longer than ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        study: Study[M] = self
        while not study.terminal:
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut(f"{self.id} did not end within {timeout} s; it goes on.")
            yield Pause(POLL_SECONDS)
            study = yield from self._answered(Request("GET", self.path, patient=True))
        return study

    @listing
    def runs(self) -> Telling[Run[M]]:
        """Its runs, newest first, page by page."""
        params = {"study_id": self.id, "limit": 1000}
        yield from pages("/v1/runs", params, self._run)

    @listing
    def stream(self, after: int = 0) -> Telling[Event]:
        """The events of the runs that it has now, as they come, each once, until all have ended.

        Raises:
            Unreachable: the server stayed away.
        """
        ids, began = yield from self._beginning()
        ended = set[str]()

        def over() -> Plan[bool]:
            return (yield from read(Request("GET", self.path, patient=True)))["terminal"] is True

        def mine(message: httpx2.ServerSentEvent) -> Event | None:
            event = event_of(message)
            if event.run_id not in ids:
                return None
            if event.type in RUN_ENDS:
                ended.add(event.run_id)
            elif event.type in BEGINS_AGAIN:
                ended.discard(event.run_id)
            return event

        yield from heard("/v1/events", max(after, began), mine, over, lambda _: ids <= ended)

    def _beginning(self) -> Plan[tuple[set[str], int]]:
        """The ids of its runs, and an event's id that is before all of theirs."""
        asked = {"study_id": self.id, "fields": "id", "sort": "created_at", "limit": 1000}
        ids: list[str] = []
        while True:
            page = yield from read(Request("GET", "/v1/runs", asked))
            ids += [data["id"] for data in page["data"]]
            if not page["has_more"]:
                break
            asked["after"] = page["next_cursor"]
        first = yield from read(Request("GET", place("runs", ids[0], "events"), {"limit": 1}))
        # All were made in one transaction, whose events follow each other in an order of its own.
        return set(ids), max(0, first["data"][0]["id"] - 3 * len(ids))

    @call
    def histories(self) -> Plan[dict[str, History]]:
        """The histories of all its runs, in one answer; by run."""
        found = yield from read(Request("GET", "/v1/histories", {"study_id": self.id}))
        return {data["run_id"]: History.model_validate(data) for data in found["data"]}

    @call
    def compare(self, **question: Unpack[Question]) -> Plan[Comparison]:
        """Its arms against each other: ``metric``, ``at``, ``baseline``, ``by``, ``min_effect``, ``curves`` and so on.

        Raises:
            InvalidRequest: there is no such metric, epoch, arm or path.
        """
        params = {key: value for key, value in question.items() if value is not None}
        return Comparison.model_validate((yield from read(Request("GET", f"{self.path}/compare", params))))

    @call
    def report(self, to: str | os.PathLike[str] | None = None, **question: Unpack[ReportQuestion]) -> Plan[Path]:
        """Write its comparison to one HTML file that can be mailed; its path.

        Raises:
            InvalidRequest: there is no such metric, epoch or path.
        """
        target = file_of(to, f"{self.id}.html")
        params = {key: value for key, value in question.items() if value is not None}
        yield from saved(Request("GET", f"{self.path.removeprefix('/v1')}/report", params), target)
        return target

    @call
    def choice(
        self,
        rule: str = "best",
        *,
        metric: str | None = None,
        at: str | None = None,
        simpler: Sequence[str] | None = None,
    ) -> Plan[Choice]:
        """The best arm, or with ``one_standard_error`` the simplest that is as good; ``metric``, ``at``, ``simpler``.

        Raises:
            InvalidRequest: there is no such metric, epoch or path, or it is not known which arm is simpler.
            NothingToChoose: nothing is measured that could be chosen.
        """
        asked = {"rule": rule, "metric": metric, "at": at, "simpler": simpler}
        params = {key: value for key, value in asked.items() if value is not None}
        return Choice.model_validate((yield from read(Request("GET", f"{self.path}/choice", params))))

    @call
    def add_seeds(self, seeds: int | Sequence[int]) -> Plan[Study[M]]:
        """Train every arm with these seeds too, or with the next so many."""
        body = {"add": seeds} if isinstance(seeds, int) else {"seeds": list(seeds)}
        return (yield from self._answered(Request("POST", f"{self.path}/seeds", json=body)))

    @call
    def cancel(self) -> Plan[Study[M]]:
        """Ask every run to end."""
        return (yield from self._answered(Request("POST", f"{self.path}/cancel")))

    @call
    def delete(self) -> Plan[None]:
        """Forget it with all its runs.

        Raises:
            StudyActive: some of them have not ended.
        """
        yield from answered(Request("DELETE", self.path))

    def _repr_html_(self) -> str:
        return html_of_study(self)

    def _run(self, data: Any) -> Run[M]:
        return Run.of(self._transport, data)

    def _answered(self, request: Request) -> Plan[Study[M]]:
        return Study.of(self._transport, (yield from read(request)))


AsyncStudy: TypeAlias = Study[AsyncTransport]


def compare(study: Study, **question: Unpack[Question]) -> Comparison:
    """The arms of a study against each other, as a table: ``to_pandas()``, ``to_polars()``, and in a notebook.

    Raises:
        InvalidRequest: there is no such metric, epoch, arm or path.
    """
    return study.compare(**question)
