"""Measurements of a run as clients see them: history, confusion matrix, weights, diagnosis."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.runs.advice import Advice
from service.runs.run import Confusion, History
from service.statistics.diagnosis import VERSION, Verdict
from service.statistics.thresholds import THRESHOLDS


class HistoryView(BaseModel):
    """The losses of every epoch; series are parallel to `epoch`."""

    object: Literal["history"] = "history"
    run_id: str
    complete: bool
    downsampled: bool = Field(description="Whether epochs were left out because of `max_points`.")
    epoch: list[int]
    steps: list[int] = Field(
        description="Optimizer steps in each epoch; fewer in an epoch in which the run was stopped."
    )
    revision: int = Field(description="Increases when epochs are replaced by those of another machine.")
    series: dict[str, list[float | None]]
    nonfinite: dict[str, dict[str, str]] = Field(
        description="Values that JSON cannot represent, by series and epoch.", examples=[{"val.loss": {"2": "nan"}}]
    )

    @classmethod
    def of(cls, history: History) -> HistoryView:
        """Return the view of a history."""
        return cls.model_validate(history, from_attributes=True)


class HistoryList(BaseModel):
    """The histories of several runs."""

    object: Literal["list"] = "list"
    data: list[HistoryView]


class ClassView(BaseModel):
    """Recall and precision of one class; a share of zero rows is null."""

    name: str
    rows: int = Field(description="Test rows of this class.")
    predicted: int = Field(description="Test rows that were predicted as this class.")
    recall: float | None = Field(description="Share of `rows` that were predicted as this class.")
    precision: float | None = Field(description="Share of `predicted` that are of this class.")


class ConfusionView(BaseModel):
    """Predicted classes of the test rows of each true class, by the model after `epoch`."""

    object: Literal["confusion"] = "confusion"
    run_id: str
    split: Literal["test"] = "test"
    epoch: int
    classes: list[ClassView]
    counts: list[list[int]] = Field(description="Rows: the true class; columns: the predicted class.")

    @classmethod
    def of(cls, confusion: Confusion) -> ConfusionView:
        """Return the view of a confusion matrix."""
        counts = [list(row) for row in confusion.counts]
        classes = []
        for i, name in enumerate(confusion.classes):
            hits, rows, predicted = counts[i][i], sum(counts[i]), sum(row[i] for row in counts)
            shares = {"recall": hits / rows if rows else None, "precision": hits / predicted if predicted else None}
            classes.append(ClassView(name=name, rows=rows, predicted=predicted, **shares))
        return cls(run_id=confusion.run_id, epoch=confusion.epoch, classes=classes, counts=counts)


class Histogram(BaseModel):
    """Bins of equal width from low to high."""

    low: float
    high: float
    counts: list[int]


class ParameterView(BaseModel):
    """One weight matrix, kernel or bias."""

    name: str = Field(examples=["layers.0.weight"])
    shape: list[int]
    zeros: float = Field(description="Share of values that are exactly zero.")
    nonfinite: int = Field(description="Values that are not finite; if there are any, the other statistics are null.")
    norm: float | None
    mean: float | None
    std: float | None
    histogram: Histogram | None


class WeightsView(BaseModel):
    """A model's parameters after `epoch`."""

    object: Literal["weights"] = "weights"
    run_id: str
    epoch: int
    parameters: list[ParameterView]


class DiagnosisView(BaseModel):
    """The diagnosis of a run, and a suggestion for the next."""

    object: Literal["diagnosis"] = "diagnosis"
    run_id: str
    verdict: Verdict
    explanation: str = Field(description="One or two sentences.")
    best_epoch: int | None
    onset_epoch: int | None = Field(description="The epoch after which the smoothed loss stays above its minimum.")
    gap_at_best: float | None = Field(description="Held-out loss minus training loss, at the best epoch.")
    regret: float | None = Field(description="Smoothed held-out loss at the end, minus its minimum.")
    threshold: float | None = Field(description="The regret that noise and small changes account for.")
    train_metric: str | None
    metric: str | None = Field(description="The held-out loss.")
    optimistic: bool = Field(description="Whether the verdict uses the test set.")
    complete: bool
    reference: str | None
    suggested_patch: dict[str, Any] | None = Field(description="A merge patch of the spec.")
    suggested_spec: dict[str, Any] | None = Field(description="The spec with the patch, ready to be posted.")
    thresholds: dict[str, float]
    version: int = Field(description="Version of the rules and thresholds.")

    @classmethod
    def of(cls, advice: Advice) -> DiagnosisView:
        """Return the view of a diagnosis."""
        diagnosis = advice.diagnosis
        names = ("verdict", "best_epoch", "onset_epoch", "gap_at_best", "regret", "threshold")
        step = f" To try next: {advice.step}." if advice.patch else f" Nothing is suggested, since {advice.step}."
        return cls(
            **{name: getattr(diagnosis, name) for name in names},
            **{name: getattr(advice, name) for name in ("run_id", "train_metric", "metric", "optimistic", "complete")},
            explanation=diagnosis.reason + (step if advice.step else ""),
            reference=advice.reference,
            suggested_patch=None if advice.patch is None else dict(advice.patch),
            suggested_spec=None if advice.spec is None else dict(advice.spec),
            thresholds=THRESHOLDS.as_dict(),
            version=VERSION,
        )
