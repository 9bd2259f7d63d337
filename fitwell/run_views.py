"""What a server tells of a run besides the run itself: progress, diagnosis, predictions and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import httpx2
from pydantic import Field, model_validator

from fitwell.sync_async import View


class RunChanges(TypedDict, total=False):
    """What can be said of a run that its result does not depend on."""

    name: str | None
    labels: Mapping[str, str]
    priority: int
    max_seconds: float | None


class Device(View):
    """Where a run was to be trained, and where it was."""

    requested: str
    used: str | None


class Stack(View):
    """How many runs trained together."""

    size: int


class Determinism(View):
    """What is promised of the bits, and a name for all of them."""

    class_: str | None = Field(alias="class")
    digest: str | None
    resumes: int


class Progress(View):
    """How far a run has come."""

    epoch: int
    epochs: int
    eta_seconds: float | None


class Best(View):
    """The epoch with the lowest held-out loss; optimistic where that is the test set's."""

    epoch: int
    metric: str
    value: float
    selected_on: str
    optimistic: bool


class Failure(View):
    """Why a run failed."""

    code: str
    message: str


class Event(View):
    """Something that happened to a run; ``id`` is where a stream goes on."""

    id: int
    type: str
    run_id: str
    at: str
    data: dict[str, Any]


def event_of(message: httpx2.ServerSentEvent) -> Event:
    """The event that a message tells of."""
    return Event.model_validate_json(message.data)


class LogLine(View):
    """Something that a worker said of a run."""

    id: int
    at: str
    attempt: int
    level: str
    text: str


class Validation(View):
    """What a spec would become, and what it would cost; nothing was queued."""

    spec: dict[str, Any]
    spec_hash: str
    parameters: int
    estimated_seconds: float
    estimated_bytes: int


class Verification(View):
    """What came of training a run once more, as the run ``by``: pending, match, differs or not_comparable."""

    run_id: str
    by: str
    outcome: str
    first_difference: int | None
    reason: str | None


class Diagnosis(View):
    """What a run's curves say (fits, underfits, overfits, diverged, undecided), and what to try next."""

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


class Predictions(View):
    """What a model makes of some rows; lists are parallel to them, and empty where there are no classes."""

    run_id: str
    at: str
    epoch: int
    class_names: list[str] = Field(default=[])
    probabilities: list[list[float | None]] = Field(default=[])
    labels: list[int | None] = Field(default=[])
    names: list[str | None] = Field(default=[])
    true_labels: list[int] | None = None
    true_names: list[str] | None = None
    predictions: list[float | None] | None = None
    targets: list[float] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


class ClassCounts(View):
    """One class as a model sees it."""

    name: str
    rows: int
    predicted: int
    recall: float | None
    precision: float | None


class Confusion(View):
    """How often test rows of each true class were given each class."""

    run_id: str
    epoch: int
    classes: list[ClassCounts]
    counts: list[list[int]]


class Histogram(View):
    """Bins of equal width from low to high."""

    low: float
    high: float
    counts: list[int]


class Parameter(View):
    """One weight matrix, kernel or bias."""

    name: str
    shape: list[int]
    zeros: float
    nonfinite: int
    norm: float | None
    mean: float | None
    std: float | None
    histogram: Histogram | None


class Weights(View):
    """A model's parameters after its last epoch."""

    run_id: str
    epoch: int
    parameters: list[Parameter]
