"""Objects that belong to runs: progress, events, diagnoses, predictions and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import httpx2
from pydantic import Field, PrivateAttr, model_validator

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


class Predictions(View):
    """A model's predictions; lists are parallel to the rows, and empty for regression where they concern classes."""

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
    missing: dict[str, int] = Field(default={})
    unseen: dict[str, int] = Field(default={})
    notes: list[str] = Field(default=[])

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


class RunEvaluation(View):
    """The metrics of a model on other data, beside those of guessing; undefined ones are None."""

    run_id: str
    at: str
    epoch: int
    dataset: str | None
    split: str | None
    rows: int
    metrics: dict[str, float | None]
    baseline: dict[str, float | None]
    missing: dict[str, int] = Field(default={})
    unseen: dict[str, int] = Field(default={})
    notes: list[str] = Field(default=[])


class ColumnImportance(View):
    """How much worse a model gets if the values of a column are permuted: mean and spread over repeats."""

    column: str
    importance: float
    std: float | None
    values: list[float]


class Importance(View):
    """The importance of a model's columns, the most important one first."""

    run_id: str
    at: str
    epoch: int
    split: str
    metric: str
    value: float | None
    rows: int
    repeats: int
    columns: list[ColumnImportance]


class CalibrationBin(View):
    """The rows with a confidence above ``low`` up to ``high``."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None
    ci: tuple[float, float] | None


class TopLabel(View):
    """The Brier score of confidences: reliability − resolution + uncertainty + within_bins."""

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float


class Calibration(View):
    """How far a model's probabilities can be trusted on the rows of a split."""

    run_id: str
    at: str
    epoch: int
    split: str
    rows: int
    accuracy: float
    confidence: float
    brier: float
    ece: float
    mce: float
    ece_if_calibrated: float
    p_calibrated: float
    top_label: TopLabel
    bins: list[CalibrationBin]


class ClassCounts(View):
    """The counts of one class."""

    name: str
    rows: int
    predicted: int
    recall: float | None
    precision: float | None


class Confusion(View):
    """A confusion matrix on the test set; ``counts[i][j]`` rows of class ``i`` were predicted as class ``j``."""

    run_id: str
    epoch: int
    classes: list[ClassCounts]
    counts: list[list[int]]


class Histogram(View):
    """A histogram with bins of equal width from ``low`` to ``high``."""

    low: float
    high: float
    counts: list[int]


class Parameter(View):
    """Statistics of a weight matrix, kernel or bias."""

    name: str
    shape: list[int]
    zeros: float
    nonfinite: int
    norm: float | None
    mean: float | None
    std: float | None
    histogram: Histogram | None


class Weights(View):
    """Statistics of a model's parameters after the last epoch."""

    run_id: str
    epoch: int
    parameters: list[Parameter]


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
