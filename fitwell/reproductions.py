"""Reproductions: published claims, tested again by studies on the server."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field

from fitwell.errors import TimedOut
from fitwell.requests import Flow, Request, Sleep, api_path, download_file, fetch_json, target_file
from fitwell.sync_async import LiveView, Resource, TransportT, View, call
from fitwell.transport import AsyncTransport

Scale: TypeAlias = Literal["quick", "full"]
POLL_SECONDS, MAX_POLL_SECONDS = 0.5, 10.0


def pause_after(elapsed: float) -> float:
    """Return the seconds between requests that take ``elapsed``, so that the server mostly trains, not judges."""
    return min(max(POLL_SECONDS, 4 * elapsed), MAX_POLL_SECONDS)


class Source(View):
    """The publication that claims are from."""

    authors: str
    year: int | None
    title: str
    venue: str = ""
    url: str | None = None


class ReproductionScale(View):
    """The runs of a scale; ``missing`` is the command that brings a dataset that the server lacks."""

    runs: int
    missing: str | None
    started_at: str | None


class ReproductionCost(View):
    """The cost of a scale; ``estimated_seconds`` is the time of runs that are not reused, one after the other."""

    scale: str
    runs: int
    max_runs: int
    reused: int
    estimated_seconds: float


class ClaimFigure(View):
    """A figure of the server: an arm's mean, or its paired difference to another arm."""

    arm: str
    against: str | None
    n: int
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None
    p_adjusted: float | None
    verdict: str | None
    diverged: int
    against_diverged: int = 0
    missing: int


class ClaimResult(View):
    """The verdict on a claim from the server's runs: reproduced, not_reproduced, undecided, or pending."""

    verdict: str
    explanation: str
    metric: str | None
    at: str | None
    alpha: float | None
    looks: int | None
    study_id: str | None
    figures: list[ClaimFigure]


class Claim(View):
    """A claim and the rule that decides it; ``result`` is None before the reproduction was started."""

    name: str
    statement: str
    expected: str
    place: str = ""
    rule: dict[str, Any]
    rule_text: str
    result: ClaimResult | None = None


class StudyOfReproduction(View):
    """A study of a reproduction; ``study_id`` is None if it was not started or was deleted."""

    name: str
    study_id: str | None
    status: str | None
    progress: dict[str, Any] | None


class MachineShare(View):
    """The runs that one kind of machine trained; ``seconds`` is the workers' time, which runs of a stack share."""

    class_: str = Field(alias="class")
    runs: int
    reused: int
    seconds: float


class ReproductionSummary(View):
    """A reproduction in the list."""

    name: str
    title: str
    question: str
    source: Source
    deviations: str
    scales: dict[str, ReproductionScale]
    claims: list[Claim]


class Reproduction(LiveView[TransportT]):
    """A snapshot of a reproduction at one scale; ``refresh`` fetches it again."""

    name: str
    title: str
    question: str
    source: Source
    deviations: str
    scales: dict[str, ReproductionScale]
    scale: str
    status: str
    terminal: bool
    owner: str | None
    started_at: str | None
    finished_at: str | None = None
    definition_hash: str = ""
    claims: list[Claim]
    studies: list[StudyOfReproduction]
    trained_on: list[MachineShare] = Field(default=[])
    verdicts: dict[str, int] = Field(default={})

    @property
    def path(self) -> str:
        """The path of the reproduction on the server."""
        return api_path("reproductions", self.name)

    @property
    def epochs(self) -> tuple[int, int]:
        """Recorded and planned epochs of all runs together."""
        progress = [study.progress for study in self.studies if study.progress is not None]
        return sum(one["epoch"] for one in progress), sum(one["epochs"] for one in progress)

    @property
    def runs_by_status(self) -> dict[str, int]:
        """Number of runs by status, over all studies."""
        counts: dict[str, int] = {}
        for study in self.studies:
            for status, count in (study.progress or {"by_status": {}})["by_status"].items():
                counts[status] = counts.get(status, 0) + count
        return counts

    @call
    def refresh(self) -> Flow[Reproduction[TransportT]]:
        """Return the current state of the reproduction."""
        return (yield from self._fetch())

    @call
    def wait(self, timeout: float | None = None) -> Flow[Reproduction[TransportT]]:
        """Wait until every study has ended and return the reproduction with its verdicts.

        Raises:
            TimedOut: The studies did not end within ``timeout`` seconds; they continue on the server.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        current: Reproduction[TransportT] = self
        elapsed = 0.0
        while not current.terminal:
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut(f"{self.name} did not end within {timeout} s. It continues on the server.")
            yield Sleep(pause_after(elapsed))
            started = time.monotonic()
            current = yield from self._fetch(patient=True)
            elapsed = time.monotonic() - started
        return current

    @call
    def report(
        self, to: str | os.PathLike[str] | None = None, form: Literal["html", "json", "csv"] = "html"
    ) -> Flow[Path]:
        """Write the claims with their rules, figures and verdicts as a self-contained file and return its path."""
        target = target_file(to, f"{self.name}-{self.scale}.{form}")
        yield from download_file(Request("GET", f"{self.path}/report", {"scale": self.scale, "format": form}), target)
        return target

    def _fetch(self, *, patient: bool = False) -> Flow[Reproduction[TransportT]]:
        request = Request("GET", self.path, {"scale": self.scale}, patient=patient)
        return Reproduction.of(self._transport, (yield from fetch_json(request)))


AsyncReproduction: TypeAlias = Reproduction[AsyncTransport]


class Reproductions(Resource[TransportT]):
    """The collection of reproductions."""

    @call
    def list(self) -> Flow[list[ReproductionSummary]]:
        """Return all reproductions, by name."""
        response = yield from fetch_json(Request("GET", "/v1/reproductions"))
        return [ReproductionSummary.model_validate(data) for data in response["data"]]

    @call
    def get(self, name: str, scale: Scale = "quick") -> Flow[Reproduction[TransportT]]:
        """Return a reproduction at one scale; it need not have been started.

        Raises:
            ReproductionNotFound: No reproduction has this name.
        """
        request = Request("GET", api_path("reproductions", name), {"scale": scale})
        return Reproduction.of(self._transport, (yield from fetch_json(request)))

    @call
    def preview(self, name: str, scale: Scale = "quick") -> Flow[ReproductionCost]:
        """Return the runs and the time that starting a reproduction takes; nothing is queued.

        Raises:
            ReproductionNotFound: No reproduction has this name.
            InvalidRequest: A dataset is not on the server; the message has the command that brings it.
        """
        request = Request("POST", api_path("reproductions", name, "preview"), json={"scale": scale})
        return ReproductionCost.model_validate((yield from fetch_json(request)))

    @call
    def start(self, name: str, scale: Scale = "quick") -> Flow[Reproduction[TransportT]]:
        """Start the studies of a reproduction, or resume them: results stay, interrupted runs are queued again.

        Raises:
            ReproductionNotFound: No reproduction has this name.
            InvalidRequest: A dataset is not on the server; the message has the command that brings it.
        """
        request = Request("POST", api_path("reproductions", name), json={"scale": scale})
        return Reproduction.of(self._transport, (yield from fetch_json(request)))
