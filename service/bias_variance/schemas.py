"""Bias and variance of a study's arms as clients see them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.bias_variance.service import ArmBiasVariance, StudyBiasVariance
from service.runs.saved_weights import At
from service.statistics.bias_variance import CORRECTED, Decomposition

LossName = Literal["cross_entropy", "zero_one", "brier", "squared_error"]


class LossPartsView(BaseModel):
    """A loss and its parts: loss = bias + net_variance."""

    loss: float = Field(description="Mean over runs and test rows.")
    bias: float = Field(
        description="The loss of the main prediction: of the mean, for squared errors (squared bias); of the "
        "normalized geometric mean, for cross-entropy; of the most frequent class, for zero-one loss. It contains the "
        "noise of the targets."
    )
    variance: float = Field(
        description="How far predictions are from the main prediction, by the same loss; for cross-entropy, the mean "
        "divergence KL(main prediction ‖ prediction)."
    )
    net_variance: float = Field(
        description="What the variance adds to the loss: the variance itself, but for zero-one loss, where predictions "
        "that differ from a wrong main prediction may be right."
    )
    corrected: bool = Field(
        description="Whether both parts are unbiased for independent runs (squared errors), so that the bias may be "
        "below zero. Otherwise they are those of these runs: the variance is too small with few of them."
    )
    bias_std_error: float | None = Field(
        description="Standard error over runs, by the jackknife; null for two runs and for zero-one loss."
    )
    variance_std_error: float | None

    @classmethod
    def of(cls, name: str, parts: Decomposition) -> LossPartsView:
        """Return the view of the parts of a loss."""
        return cls(
            loss=parts.loss,
            bias=parts.bias,
            variance=parts.variance,
            net_variance=parts.net_variance,
            corrected=name in CORRECTED,
            bias_std_error=parts.bias_error,
            variance_std_error=parts.variance_error,
        )


class ArmBiasVarianceView(BaseModel):
    """Bias and variance of the predictions of an arm."""

    arm: str
    runs: int = Field(description="Runs whose predictions are used.")
    rows: int = Field(description="Test rows.")
    diverged: int
    unfinished: int = Field(description="Runs that have not ended.")
    missing: int = Field(description="Runs that failed, were cancelled or deleted, or have no weights.")
    left_out: int = Field(description="Finished runs beyond those whose predictions fit into memory.")
    pending: int = Field(description="Runs that the time of this request did not suffice for.")
    losses: dict[LossName, LossPartsView] = Field(
        description="Of classes: `cross_entropy`, `zero_one` and `brier`; of numbers: `squared_error`, in the square "
        "of the target's unit. Empty while runs are pending."
    )

    @classmethod
    def of(cls, arm: ArmBiasVariance) -> ArmBiasVarianceView:
        """Return the view of an arm."""
        runs = arm.runs
        return cls.model_validate(
            {
                "arm": runs.arm,
                "runs": len(runs.models),
                **{name: getattr(runs, name) for name in ("rows", "diverged", "unfinished", "missing", "left_out")},
                "pending": arm.pending,
                "losses": {name: LossPartsView.of(name, parts) for name, parts in arm.losses.items()},
            }
        )


class StudyBiasVarianceView(BaseModel):
    """Bias and variance of the predictions of a study's arms on its test rows.

    If `pending` is not zero, send the request again: predictions are cached, and the next response covers more.
    """

    object: Literal["bias_variance"] = "bias_variance"
    study_id: str = Field(description="The study; of a tuned one its confirmation.")
    at: At
    generalizes_over: list[str] = Field(
        description="What differs between the runs of an arm: `seed`, `split`, `data`. The variance is due to these."
    )
    complete: bool = Field(description="Whether every run of the study has finished.")
    pending: int = Field(description="Runs that the time of this request did not suffice for.")
    arms: list[ArmBiasVarianceView]

    @classmethod
    def of(cls, result: StudyBiasVariance) -> StudyBiasVarianceView:
        """Return the view of a study's bias and variance."""
        design = result.design
        return cls(
            study_id=design.study_id,
            at=result.at,
            generalizes_over=list(design.generalizes_over),
            complete=design.complete,
            pending=result.pending,
            arms=[ArmBiasVarianceView.of(arm) for arm in result.arms.values()],
        )
