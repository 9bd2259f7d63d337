"""Objects that belong to a run's model: predictions, evaluations, calibration, confusion, weights."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from fitwell.sync_async import View


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
