"""The importance of columns over a study's runs, as clients see it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.importance.service import StudyImportance, StudyQuestion
from service.runs.saved_weights import At
from service.sandbox.predicting.messages import Split
from service.statistics.importance import ArmImportance, ColumnSummary


class ArmColumnView(BaseModel):
    """The importance of a column over the replicates of an arm: how much worse the metric is if it is permuted."""

    column: str
    n: int = Field(description="Replicates that were measured.")
    mean: float | None
    std: float | None = Field(description="Standard deviation over replicates, each the mean over its permutations.")
    ci: tuple[float, float] | None = Field(
        description="Interval of the mean from inverting the sign-flip test, not corrected for the number of columns; "
        "null below six replicates."
    )
    positive: float | None = Field(description="Share of the replicates in which the metric got worse.")

    @classmethod
    def of(cls, column: ColumnSummary) -> ArmColumnView:
        """Return the view of a column."""
        one = column.summary
        return cls(column=column.column, n=one.n, mean=one.mean, std=one.std, ci=one.interval, positive=column.positive)


class ArmImportanceView(BaseModel):
    """The importance of the columns of an arm."""

    arm: str
    n: int = Field(description="Replicates that were measured.")
    value: float | None = Field(description="Mean over replicates of the metric of the rows as they are.")
    diverged: int
    unfinished: int = Field(description="Replicates with a run that has not ended, or is pending.")
    missing: int = Field(description="Replicates with a run that failed, was cancelled or deleted, or has no weights.")
    column_count: int = Field(description="Columns of the arm, of which `columns` has the most important ones.")
    columns: list[ArmColumnView] = Field(description="The most important one first.")

    @classmethod
    def of(cls, arm: str, importance: ArmImportance) -> ArmImportanceView:
        """Return the view of an arm."""
        value = importance.value
        return cls(
            arm=arm,
            n=value.n,
            value=value.mean,
            diverged=value.diverged,
            unfinished=value.unfinished,
            missing=value.missing,
            column_count=importance.column_count,
            columns=[ArmColumnView.of(column) for column in importance.columns],
        )


class StudyImportanceView(BaseModel):
    """Permutation importance of columns over a study's runs.

    If `pending` is not zero, send the request again: measured runs are cached, and the next response covers more.
    """

    object: Literal["study_importance"] = "study_importance"
    study_id: str = Field(description="The study; of a tuned one its confirmation, once it exists.")
    at: At
    split: Split
    metric: str
    repeats: int
    alpha: float = Field(description="The intervals have the level 1 − alpha.")
    generalizes_over: list[str] = Field(description="What differs between replicates: `seed`, `split`, `data`.")
    complete: bool = Field(description="Whether every run of the study has finished.")
    replicates: list[int] = Field(description="The seeds that were used; the splits if each has several seeds.")
    left_out: int = Field(description="Replicates that exist beyond the limit on runs.")
    runs: int = Field(description="Runs that were measured.")
    pending: int = Field(description="Finished runs that the time of this request did not suffice for.")
    arms: list[ArmImportanceView]

    @classmethod
    def of(cls, importance: StudyImportance, question: StudyQuestion) -> StudyImportanceView:
        """Return the view of a study's importance."""
        design = importance.design
        return cls(
            study_id=design.study_id,
            at=importance.at,
            split=question.of_runs.split,
            metric=question.of_runs.metric,
            repeats=question.of_runs.repeats,
            alpha=design.alpha,
            generalizes_over=list(design.generalizes_over),
            complete=design.complete,
            replicates=list(importance.replicates),
            left_out=importance.left_out,
            runs=importance.measured,
            pending=importance.pending,
            arms=[ArmImportanceView.of(arm, one) for arm, one in importance.arms.items()],
        )
