"""Objects that belong to runs: progress, events, diagnoses and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import httpx2
from pydantic import Field, PrivateAttr

from fitwell.requests import api_path
from fitwell.sync_async import LiveView, TransportT, View


class RunChanges(TypedDict, total=False):
    """The fields of a run that do not affect its result."""

    name: str | None
    labels: Mapping[str, str]
    priority: int
    max_seconds: float | None


class Device(View):
    """The requested device and the device used."""

    requested: str
    used: str | None


class Stack(View):
    """The stack of runs trained together."""

    size: int


class Determinism(View):
    """The determinism class of a run, and the digest of its results."""

    class_: str | None = Field(alias="class")
    digest: str | None
    resumes: int


class Progress(View):
    """The progress of a run."""

    epoch: int
    epochs: int
    eta_seconds: float | None
    epoch_name: str = "epoch"

    def place(self, epoch: int) -> str:
        """Return an epoch in words, such as "epoch 8", or "k = 8" of nearest neighbors."""
        return f"epoch {epoch}" if self.epoch_name == "epoch" else f"{self.epoch_name} = {epoch}"


class Best(View):
    """The epoch with the lowest held-out loss; ``optimistic`` if it was selected on the test set."""

    epoch: int
    metric: str
    value: float
    selected_on: str
    optimistic: bool


class Ended(View):
    """Why a run ended.

    ``reason`` is ``epochs``, the kind of the stop ``rule`` (such as ``early_stopping``), ``diverged``, ``timed_out``,
    ``failed`` or ``cancelled``; later versions may add others. ``rule`` has the fields of the rule and its ``index``.
    """

    reason: str
    rule: dict[str, Any] | None
    epoch: int


class Failure(View):
    """The reason of a failure."""

    code: str
    message: str


class Event(View):
    """An event of a run; pass ``id`` as ``after`` to resume a stream behind it."""

    id: int
    type: str
    run_id: str
    at: str
    data: dict[str, Any]


def parse_event(message: httpx2.ServerSentEvent) -> Event:
    """Return the event in a message."""
    return Event.model_validate_json(message.data)


class LogLine(View):
    """A log line of a run."""

    id: int
    at: str
    attempt: int
    level: str
    text: str


class Layer(View):
    """A layer of a model, with the shape of a row of its output; FLOPs are those of one row's forward pass."""

    name: str
    kind: str
    output_shape: list[int]
    parameters: int
    flops: int


class Validation(View):
    """A validated spec and its estimated cost; nothing was queued."""

    spec: dict[str, Any]
    spec_hash: str
    parameters: int
    estimated_seconds: float
    estimated_bytes: int
    preceding_runs: int = 0
    preceding_seconds: float = 0.0
    layers: list[Layer] = Field(default=[])


class Verification(View):
    """A repetition of a run, as the run ``by``; the outcome is pending, match, differs or not_comparable."""

    run_id: str
    by: str
    outcome: str
    first_difference: int | None
    reason: str | None


class Diagnosis(View):
    """The verdict on a run's curves and what to try next.

    The verdict is ``fits``, ``underfits``, ``overfits``, ``memorizes``, ``worse_than_guessing``, ``diverged`` or
    ``undecided``; later versions may add others.
    """

    run_id: str
    verdict: str
    explanation: str
    best_epoch: int | None
    onset_epoch: int | None
    gap_at_best: float | None
    regret: float | None
    threshold: float | None
    optimistic: bool
    complete: bool
    suggested_patch: dict[str, Any] | None
    suggested_spec: dict[str, Any] | None


class RunSnapshot(LiveView[TransportT]):
    """A training run as it was when it was fetched: its fields."""

    id: str
    owner: str | None = None
    status: str
    terminal: bool
    name: str | None
    labels: dict[str, str]
    priority: int = 0
    max_seconds: float | None = None
    spec: dict[str, Any]
    spec_hash: str
    reused_from: str | None
    extends: str | None = None
    verifies: str | None = None
    study_id: str | None = None
    arm: str | None = None
    seed: int
    device: Device | None = None
    stack: Stack | None = None
    determinism: Determinism | None = None
    progress: Progress
    best: Best | None
    last: dict[str, float | None]
    baseline: dict[str, float | None] | None = None
    peak_bytes: int | None = None
    ended: Ended | None = None
    error: Failure | None
    waiting_reason: str | None
    created_at: str
    started_at: str | None = None
    finished_at: str | None
    _etag: str = PrivateAttr(default="")

    @property
    def path(self) -> str:
        """The path of the run on the server."""
        return api_path("runs", self.id)
