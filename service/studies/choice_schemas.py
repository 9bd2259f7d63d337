"""The choice among a study's arms as clients see it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.statistics import choice as choosing
from service.studies.choice import Chosen
from service.studies.simplicity import Order


class OrderView(BaseModel):
    """Which end of a number is simpler."""

    path: str
    order: Literal["asc", "desc"] = Field(description="desc: larger is simpler; asc: smaller is.")
    inferred: bool = Field(description="Whether nobody asked for it: the arms differ in this strength only.")

    @classmethod
    def of(cls, order: Order) -> OrderView:
        """The order as it is shown."""
        return cls(path=order.path, order=order.direction, inferred=order.inferred)


class CandidateView(BaseModel):
    """An arm, and how good it is; figures are null where it cannot be chosen."""

    arm: str
    mean: float | None
    std: float | None = Field(description="Standard deviation of `values`.")
    standard_error: float | None = Field(description="Of the mean: `std` over the root of how many `values` there are.")
    values: list[float] = Field(description="One for each fold, the mean over seeds; without folds one for each seed.")
    within_one_standard_error: bool = Field(description="Of the best arm's mean, by the best arm's standard error.")
    diverged: int = Field(description="Runs; an arm of which one diverged is not chosen.")
    unfinished: int
    missing: int

    @classmethod
    def of(cls, one: choosing.Candidate) -> CandidateView:
        """The arm as it is shown."""
        same = ("mean", "std", "standard_error", "diverged", "unfinished", "missing")
        return cls(
            **{name: getattr(one, name) for name in same},
            arm=one.id,
            values=list(one.values),
            within_one_standard_error=one.within,
        )


class ChoiceView(BaseModel):
    """The arm to take, how sure that is, and its spec."""

    object: Literal["choice"] = "choice"
    study_id: str
    rule: choosing.Rule
    metric: str
    at: str
    direction: Literal["lower_is_better", "higher_is_better"]
    exploratory: bool = Field(description="Whether this is not what the study was made to answer.")
    optimistic: bool = Field(description="Whether the test set had a part in the choice, which every arm allowed.")
    complete: bool = Field(description="Whether every run has ended.")
    folds: int | None
    seeds: list[int] = Field(description="Those whole in every arm that can be chosen; only these are looked at.")
    spread_over: Literal["folds", "seeds"] | None = Field(
        description="What standard deviations and errors are over; null where there is a single value."
    )
    simpler: list[OrderView] = Field(description="What decides which arm is simpler, in turn.")
    best: str = Field(description="The arm of the best mean.")
    threshold: float | None = Field(description="The best mean and one standard error of it.")
    within_one_standard_error: int = Field(description="How many arms are, the best among them.")
    chosen: str
    explanation: str
    arms: list[CandidateView]
    chosen_spec: dict[str, Any] = Field(
        description="Ready for POST /v1/runs, with seed 0. Of folds: trained on all rows, for the median of the epochs "
        "that were compared, without rules that watch what validates."
    )

    @classmethod
    def of(cls, found: Chosen) -> ChoiceView:
        """The choice as it is shown."""
        same = ("study_id", "rule", "metric", "at", "exploratory", "optimistic", "complete", "folds", "explanation")
        choice = found.choice
        return cls(
            **{name: getattr(found, name) for name in same},
            direction="lower_is_better" if found.lower_is_better else "higher_is_better",
            seeds=list(choice.seeds),
            spread_over=choice.over,
            simpler=[OrderView.of(order) for order in found.orders],
            best=choice.best,
            threshold=choice.threshold,
            within_one_standard_error=found.within,
            chosen=choice.chosen,
            arms=[CandidateView.of(one) for one in choice.candidates],
            chosen_spec=dict(found.spec),
        )
