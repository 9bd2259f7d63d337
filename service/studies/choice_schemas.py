"""The choice of a study's arm as clients see it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.statistics import choice as choosing
from service.studies.choice import Chosen
from service.studies.simplicity import Order


class OrderView(BaseModel):
    """The simpler end of a number."""

    path: str
    order: Literal["asc", "desc"] = Field(description="desc: larger is simpler; asc: smaller is.")
    inferred: bool = Field(
        description="Whether the server inferred the order because the arms differ only in this strength."
    )

    @classmethod
    def of(cls, order: Order) -> OrderView:
        """Return the view of an order."""
        return cls(path=order.path, order=order.direction, inferred=order.inferred)


class CandidateView(BaseModel):
    """An arm and its results; they are null if the arm cannot be chosen."""

    arm: str
    mean: float | None
    std: float | None = Field(description="Standard deviation of `values`.")
    standard_error: float | None = Field(
        description="Standard error of the mean: `std` over the square root of the number of `values`."
    )
    values: list[float] = Field(description="One for each fold (mean over seeds); without folds, one for each seed.")
    within_one_standard_error: bool = Field(
        description="Whether the mean is within one standard error of the best arm's."
    )
    diverged: int = Field(description="Diverged runs; an arm with any is not chosen.")
    unfinished: int
    missing: int

    @classmethod
    def of(cls, one: choosing.Candidate) -> CandidateView:
        """Return the view of a candidate."""
        names = ("mean", "std", "standard_error", "diverged", "unfinished", "missing")
        return cls(
            **{name: getattr(one, name) for name in names},
            arm=one.id,
            values=list(one.values),
            within_one_standard_error=one.within,
        )


class ChoiceView(BaseModel):
    """The chosen arm, how certain the choice is, and its spec."""

    object: Literal["choice"] = "choice"
    study_id: str
    rule: choosing.Rule
    metric: str
    at: str
    epoch_by: str | None = Field(
        default=None, description="The metric whose best epoch counts; null if `at` is not best."
    )
    direction: Literal["lower_is_better", "higher_is_better"]
    exploratory: bool = Field(description="Whether this differs from the study's own question.")
    optimistic: bool = Field(description="Whether the choice used the test set.")
    complete: bool = Field(description="Whether every run has finished.")
    folds: int | None
    seeds: list[int] = Field(
        description="Seeds (or splits, if each has several seeds) that are complete in every arm that can be chosen; "
        "only these count."
    )
    spread_over: Literal["folds", "seeds"] | None = Field(
        description="What standard deviations and errors are computed over; null for a single value."
    )
    simpler: list[OrderView] = Field(description="Orders that decide which arm is simpler; later ones break ties.")
    best: str = Field(description="The arm with the best mean.")
    threshold: float | None = Field(description="The best mean plus one standard error.")
    within_one_standard_error: int = Field(description="Number of arms within one standard error, including the best.")
    chosen: str
    explanation: str
    arms: list[CandidateView]
    chosen_spec: dict[str, Any] = Field(
        description="Ready for POST /v1/runs, with seed 0. After a choice over folds it trains on all rows, for the "
        "median of the compared epochs, without stop rules that need validation rows."
    )

    @classmethod
    def of(cls, chosen: Chosen) -> ChoiceView:
        """Return the view of a choice."""
        names = (
            "study_id",
            "rule",
            "metric",
            "at",
            "epoch_by",
            "exploratory",
            "optimistic",
            "complete",
            "folds",
            "explanation",
        )
        choice = chosen.choice
        return cls(
            **{name: getattr(chosen, name) for name in names},
            direction="lower_is_better" if chosen.lower_is_better else "higher_is_better",
            seeds=list(choice.seeds),
            spread_over=choice.over,
            simpler=[OrderView.of(order) for order in chosen.orders],
            best=choice.best,
            threshold=choice.threshold,
            within_one_standard_error=chosen.within,
            chosen=choice.chosen,
            arms=[CandidateView.of(one) for one in choice.candidates],
            chosen_spec=dict(chosen.spec),
        )
