"""Calibration of a model as clients see it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.models.calibration import ModelReliability
from service.runs.saved_weights import At
from service.sandbox.predicting.messages import Split
from service.statistics.calibration import LEVEL


class BinView(BaseModel):
    """The rows of one bin of confidence; an empty one has neither means nor an interval."""

    model_config = ConfigDict(from_attributes=True)

    low: float = Field(description="Confidences of the bin are above this.")
    high: float = Field(description="And at most this.")
    count: int
    confidence: float | None = Field(description="Mean confidence.")
    accuracy: float | None = Field(description="float of the rows whose most probable class is theirs.")
    ci: tuple[float, float] | None = Field(description=f"{LEVEL:.0%} interval of the accuracy (Wilson).")


class TopLabelView(BaseModel):
    """Murphy's decomposition: brier = reliability − resolution + uncertainty + within_bins."""

    model_config = ConfigDict(from_attributes=True)

    brier: float = Field(description="Mean squared difference between confidence and hit (1 or 0).")
    reliability: float = Field(description="Mean squared difference between confidence and accuracy of the bins.")
    resolution: float = Field(description="Variance of the bins' accuracies; higher is better.")
    uncertainty: float = Field(description="Variance of the hits.")
    within_bins: float = Field(description="The part due to different confidences within a bin.")


class CalibrationView(BaseModel):
    """The reliability of a model's probabilities. A row's confidence is its largest probability."""

    model_config = ConfigDict(from_attributes=True)

    object: Literal["calibration"] = "calibration"
    run_id: str
    at: At
    epoch: int = Field(description="The epoch after which the model was saved.")
    split: Split
    rows: int
    accuracy: float
    confidence: float = Field(description="Mean confidence; above the accuracy, the model is overconfident.")
    brier: float = Field(
        description="Mean over rows of Σ (p − t)² over all classes, where t is 1 for the row's class; from 0 to 2."
    )
    ece: float = Field(description="Expected calibration error: mean distance between confidence and accuracy of bins.")
    mce: float = Field(description="Maximum calibration error: the largest distance.")
    ece_if_calibrated: float = Field(
        description="The ECE that a perfectly calibrated model with the same confidences has on average (simulated)."
    )
    p_calibrated: float = Field(
        description="How often a perfectly calibrated model with the same confidences has an ECE at least as large; "
        "too small or too large on rows that trained the model or chose its epoch."
    )
    top_label: TopLabelView
    bins: list[BinView] = Field(description="In order of confidence.")

    @classmethod
    def of(cls, measured: ModelReliability) -> CalibrationView:
        """Return the view of a model's reliability."""
        weights, values = measured.weights, vars(measured.reliability)
        identity = {"run_id": weights.run_id, "at": weights.at, "epoch": weights.file.epoch}
        return cls.model_validate({**identity, "split": measured.split, "brier": measured.brier, **values})
