"""Studies, comparisons and diagnoses as the client sees them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx2
from pydantic import PrivateAttr

from fitwell.errors import TimedOut
from fitwell.run import View
from fitwell.transport import Transport

POLL_SECONDS = 0.5


class Arm(View):
    """One arm of a study, and how many of its runs are in each status."""

    id: str
    name: str
    values: dict[str, Any]
    runs: int
    by_status: dict[str, int]


class Group(View):
    """An arm over its seeds."""

    id: str
    n: int
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None
    diverged: int


class Pair(View):
    """An arm against another, seed by seed."""

    arm: str
    baseline: str
    n: int
    mean_difference: float | None
    std: float | None
    ci: tuple[float, float] | None
    p: float | None
    p_adjusted: float | None
    verdict: str
    seeds_needed: int | None


class Comparison(View):
    """Which arm is better, and how sure that is; a verdict may be ``undecided``."""

    study_id: str
    metric: str
    at: str
    direction: str
    exploratory: bool
    complete: bool
    baseline: str | None
    alpha: float
    looks: int
    min_seeds_possible: int
    arms: list[Group]
    pairs: list[Pair]
    curves: dict[str, list[dict[str, Any]]]

    def against(self, baseline: str) -> dict[str, Pair]:
        """By arm, the pair that compares it with ``baseline``."""
        return {pair.arm: pair for pair in self.pairs if pair.baseline == baseline}


class Candidate(View):
    """An arm, and how good it is over folds (or seeds); without figures where it cannot be chosen."""

    arm: str
    mean: float | None
    std: float | None
    standard_error: float | None
    within_one_standard_error: bool
    diverged: int
    unfinished: int


class Choice(View):
    """The arm to take, and its spec: ``client.runs.create(**choice.chosen_spec)``."""

    study_id: str
    rule: str
    metric: str
    at: str
    optimistic: bool
    complete: bool
    folds: int | None
    best: str
    chosen: str
    threshold: float | None
    within_one_standard_error: int
    explanation: str
    arms: list[Candidate]
    chosen_spec: dict[str, Any]


class Study(View):
    """A study as it was when it was read; ``refresh`` reads it again."""

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
    progress: dict[str, Any]
    _transport: Transport = PrivateAttr()

    @classmethod
    def read(cls, transport: Transport, answer: httpx2.Response) -> Study:
        """The study in an answer."""
        study = cls.model_validate(answer.json())
        study._transport = transport
        return study

    @property
    def path(self) -> str:
        """Where the server has it."""
        return f"/v1/studies/{self.id}"

    def refresh(self) -> Study:
        """The study as it is now."""
        return Study.read(self._transport, self._transport.request("GET", self.path))

    def wait(self, timeout: float | None = None) -> Study:
        """The study when every run has ended.

        Raises:
            TimedOut: that took longer than ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        study = self
        while not study.terminal:
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut(f"{self.id} did not end within {timeout} s; it goes on.")
            time.sleep(POLL_SECONDS)
            study = study.refresh()
        return study

    def compare(self, **question: Any) -> Comparison:
        """Its arms against each other: ``metric``, ``at``, ``baseline``, ``by``, ``min_effect``, ``curves`` and so on.

        Raises:
            BadRequest: there is no such metric, epoch, arm or path.
        """
        params = {key: value for key, value in question.items() if value is not None}
        return Comparison.model_validate(self._transport.request("GET", f"{self.path}/compare", params=params).json())

    def choice(self, rule: str = "best", **question: Any) -> Choice:
        """The best arm, or with ``one_standard_error`` the simplest that is as good; ``metric``, ``at``, ``simpler``.

        Raises:
            BadRequest: there is no such metric, epoch or path, or it is not known which arm is simpler.
            Conflict: nothing is measured that could be chosen.
        """
        params = {"rule": rule, **{key: value for key, value in question.items() if value is not None}}
        return Choice.model_validate(self._transport.request("GET", f"{self.path}/choice", params=params).json())

    def add_seeds(self, seeds: int | Sequence[int]) -> Study:
        """Train every arm with these seeds too, or with the next so many."""
        body = {"add": seeds} if isinstance(seeds, int) else {"seeds": list(seeds)}
        return Study.read(self._transport, self._transport.request("POST", f"{self.path}/seeds", json=body))

    def cancel(self) -> Study:
        """Ask every run to end."""
        return Study.read(self._transport, self._transport.request("POST", f"{self.path}/cancel"))

    def delete(self) -> None:
        """Forget it with all its runs.

        Raises:
            Conflict: some of them have not ended.
        """
        self._transport.request("DELETE", self.path)


class Studies:
    """The studies of a server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, *, reuse: bool = True, **body: Any) -> Study:
        """Submit a study: ``base``, ``arms``, ``grid`` or ``sample``, ``seeds``, ``folds`` and so on.

        Raises:
            BadRequest: an arm is not a run that can be trained; ``errors`` says where.
        """
        params = {} if reuse else {"reuse": "false"}
        return Study.read(self._transport, self._transport.request("POST", "/v1/studies", params=params, json=body))

    def preview(self, **body: Any) -> dict[str, Any]:
        """What a study would cost, and whether it could decide anything; nothing is queued."""
        answer: dict[str, Any] = self._transport.request("POST", "/v1/studies/preview", json=body).json()
        return answer

    def get(self, study_id: str) -> Study:
        """One study.

        Raises:
            NotFound: there is none of this id.
        """
        return Study.read(self._transport, self._transport.request("GET", f"/v1/studies/{study_id}"))

    def list(self) -> Iterator[Study]:
        """Studies, newest first, page by page."""
        params: dict[str, Any] = {"limit": 100}
        while True:
            page: Mapping[str, Any] = self._transport.request("GET", "/v1/studies", params=params).json()
            for data in page["data"]:
                study = Study.model_validate(data)
                study._transport = self._transport
                yield study
            if not page["has_more"]:
                return
            params["after"] = page["next_cursor"]
