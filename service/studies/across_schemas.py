"""Comparisons over several datasets as clients see them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.statistics.across import CONFIDENCE, RESAMPLES, Aggregates, Estimate
from service.statistics.comparison import Pair, Verdict
from service.statistics.normalization import Method
from service.statistics.pairing import Test
from service.statistics.ranks import Friedman
from service.studies.across import Across, AcrossPair, Results
from service.studies.comparison_schemas import NotYetView
from service.studies.dataset_scores import DatasetScores

DESCRIPTIVE = (
    "Interval of a stratified bootstrap over replicates. It describes, and decides nothing; null if a dataset "
)


class EstimateView(BaseModel):
    """A statistic with its descriptive interval."""

    value: float
    ci: tuple[float, float] | None = Field(description=DESCRIPTIVE + "has a single replicate.")

    @classmethod
    def of(cls, estimate: Estimate) -> EstimateView:
        """Return the view of an estimate."""
        return cls(value=estimate.value, ci=estimate.interval)


class ScoresOfArm(BaseModel):
    """An arm on one dataset."""

    arm: str
    mean: float | None = Field(description="Mean of the metric over the measured replicates.")
    score: float = Field(description="Mean score; replicates that diverged count as the worst one, or as guessing.")
    diverged: int


class ScaledDatasetView(BaseModel):
    """A dataset, with the values of the metric that have the scores 0 and 1 on it."""

    name: str
    n: int = Field(description="Replicates with results in every arm.")
    missing: int = Field(description="Replicates that some arm lacks.")
    normalize: Method
    zero: float = Field(description="The value with score 0.")
    one: float = Field(description="The value with score 1.")
    guessing: float | None
    arms: list[ScoresOfArm]

    @classmethod
    def of(cls, dataset: DatasetScores, arms: list[str]) -> ScaledDatasetView:
        """Return the view of a dataset."""
        means = dataset.scores.mean(axis=1).tolist()
        return cls(
            name=dataset.name,
            n=len(dataset.replicates),
            missing=dataset.missing,
            normalize=dataset.scale.method,
            zero=dataset.scale.zero,
            one=dataset.scale.one,
            guessing=dataset.guessing,
            arms=[
                ScoresOfArm(arm=arm, mean=mean, score=score, diverged=diverged)
                for arm, mean, score, diverged in zip(arms, dataset.means, means, dataset.diverged, strict=True)
            ],
        )


class ExcludedView(BaseModel):
    """An arm or dataset that does not count, and why."""

    name: str
    reason: str


class AcrossArmView(BaseModel):
    """An arm over all datasets, each of which weighs the same."""

    arm: str
    iqm: EstimateView = Field(description="Interquartile mean of the scores of all runs.")
    mean: EstimateView
    median: EstimateView = Field(description="Median of the datasets' means.")
    optimality_gap: EstimateView = Field(description="Mean distance to 1 of scores below it; lower is better.")
    mean_rank: float | None = Field(description="1 is the best; null if there are more than 40 arms.")

    @classmethod
    def of(cls, arm: str, aggregates: Aggregates, mean_rank: float | None) -> AcrossArmView:
        """Return the view of an arm."""
        names = ("iqm", "mean", "median", "optimality_gap")
        estimates = {name: EstimateView.of(getattr(aggregates, name)) for name in names}
        return cls(arm=arm, mean_rank=mean_rank, **estimates)


class ProfileView(BaseModel):
    """An arm's performance profile, with pointwise descriptive intervals."""

    arm: str
    share: list[float] = Field(description="Share of runs whose score is above each threshold.")
    low: list[float] | None
    high: list[float] | None


class OnTheseDatasets(BaseModel):
    """The verdict for these datasets: arms paired by replicate, by the mean score over datasets."""

    n: int = Field(description="Replicates with results of both arms on every dataset.")
    missing: int
    mean_difference: float | None = Field(description="In scores.")
    ci: tuple[float, float] | None = Field(description="By inverting the sign-flip test; unadjusted.")
    test: Test
    p: float | None
    p_adjusted: float | None
    p_holm: float | None
    verdict: Verdict

    @classmethod
    def of(cls, pair: Pair) -> OnTheseDatasets:
        """Return the view of a pair."""
        names = ("missing", "test", "p", "p_adjusted", "p_holm", "verdict")
        values = {name: getattr(pair, name) for name in names}
        return cls(n=len(pair.seeds), mean_difference=pair.mean, ci=pair.interval, **values)


class OverDatasets(BaseModel):
    """The verdict beyond these datasets, if they are a sample: the Wilcoxon signed-rank test of their mean scores."""

    n: int = Field(description="Datasets.")
    wins: int = Field(description="Datasets on which the arm has the higher mean score.")
    losses: int
    test: Literal["signed_rank", "none"]
    p: float | None
    p_adjusted: float | None
    p_holm: float | None
    verdict: Verdict

    @classmethod
    def of(cls, pair: AcrossPair, datasets: int) -> OverDatasets:
        """Return the view of a pair."""
        due = pair.verdict != "not_yet"
        names = ("p", "p_adjusted", "p_holm")
        return cls(
            n=datasets,
            wins=pair.ranks.wins,
            losses=pair.ranks.losses,
            test="signed_rank" if due else "none",
            verdict=pair.verdict,
            **{name: getattr(pair.ranks, name) if due else None for name in names},
        )


class AcrossPairView(BaseModel):
    """An arm against a baseline over all datasets."""

    arm: str
    baseline: str
    probability_of_improvement: EstimateView = Field(
        description="Probability that a run of the arm is better than one of the baseline, on a random dataset. "
        "Beyond 100 pairs without interval."
    )
    on_these_datasets: OnTheseDatasets
    over_datasets: OverDatasets


class FriedmanView(BaseModel):
    """The Friedman test with Iman and Davenport's correction, of whether any two arms differ."""

    chi_square: float
    f: float | None = Field(description="Null if all datasets rank the arms alike; p is then that of χ².")
    freedom: tuple[int, int]
    p: float

    @classmethod
    def of(cls, test: Friedman) -> FriedmanView:
        """Return the view of a test."""
        return cls(chi_square=test.chi_square, f=test.f, freedom=test.freedom, p=test.p)


class RanksView(BaseModel):
    """The groups and the critical difference of a diagram of mean ranks."""

    critical_difference: float = Field(
        description="Nemenyi's, of mean ranks at `alpha`. For reading only: it depends on the other arms in the study."
    )
    groups: list[list[str]] | None = Field(
        description="Neighbors by mean rank that do not differ by corrected signed-rank tests of all pairs, best "
        "first. Null before the look is due."
    )
    friedman: FriedmanView | None = Field(description="Null for fewer than three arms or two datasets, and before.")


class IntervalsView(BaseModel):
    """How descriptive intervals are computed."""

    method: Literal["stratified percentile bootstrap, descriptive"] = "stratified percentile bootstrap, descriptive"
    confidence: float = CONFIDENCE
    resamples: int = RESAMPLES


class AcrossDatasetsView(BaseModel):
    """A study's arms over all its datasets."""

    object: Literal["across_datasets"] = "across_datasets"
    study_id: str
    metric: str
    at: str
    direction: Literal["lower_is_better", "higher_is_better"]
    epoch_by: str | None
    exploratory: bool = Field(description="Whether this differs from the study's own question or default scores.")
    optimistic: bool = Field(
        description="Whether epochs were chosen on the rows that `metric` is measured on, or on the test set."
    )
    complete: bool
    generalizes_over: list[Literal["seed", "split", "data"]] = Field(
        description="Sources of variation that replicates differ in, which `on_these_datasets` generalizes over."
    )
    baseline: str | None = Field(description="Null if all pairs are compared.")
    correction: Literal["max_t", "holm"]
    alpha: float = Field(description="Of either verdict, over all its pairs.")
    min_datasets_possible: int = Field(
        description="Datasets from which `over_datasets` can be significant; with fewer it is always undecided."
    )
    looks: int
    not_yet: NotYetView | None = Field(description="Why no verdict is given; null if the look is due.")
    intervals: IntervalsView
    arms: list[AcrossArmView]
    datasets: list[ScaledDatasetView]
    excluded_arms: list[ExcludedView]
    excluded_datasets: list[ExcludedView]
    thresholds: list[float] = Field(description="Scores at which the profiles are given.")
    profiles: list[ProfileView]
    pairs: list[AcrossPairView]
    ranks: RanksView | None = Field(description="Null for one arm, and for more than 40.")

    @classmethod
    def of(cls, across: Across) -> AcrossDatasetsView:
        """Return the view of a comparison over datasets."""
        names = (
            "study_id", "metric", "at", "epoch_by", "exploratory", "optimistic", "complete", "baseline", "correction",
            "alpha", "looks",
        )  # fmt: skip
        scores, results = across.scores, across.results
        arms = list(scores.arms)
        return cls(
            **{name: getattr(across, name) for name in names},
            direction="lower_is_better" if across.lower_is_better else "higher_is_better",
            generalizes_over=list(across.generalizes_over),
            min_datasets_possible=across.min_datasets,
            not_yet=None if across.not_yet is None else NotYetView.of(across.not_yet),
            intervals=IntervalsView(),
            datasets=[ScaledDatasetView.of(dataset, arms) for dataset in scores.datasets],
            excluded_arms=[ExcludedView(name=one.name, reason=one.reason) for one in scores.excluded_arms],
            excluded_datasets=[ExcludedView(name=one.name, reason=one.reason) for one in scores.excluded_datasets],
            arms=[] if results is None else _arms(arms, results),
            thresholds=[] if results is None else list(results.thresholds),
            profiles=[] if results is None else _profiles(arms, results),
            pairs=[] if results is None else _pairs(results, len(scores.datasets)),
            ranks=None if results is None else _ranks(arms, results, due=across.not_yet is None),
        )


def _arms(arms: list[str], results: Results) -> list[AcrossArmView]:
    ranks = [None] * len(arms) if results.ranks is None else results.ranks.mean_ranks
    return [AcrossArmView.of(*one) for one in zip(arms, results.aggregates, ranks, strict=True)]


def _profiles(arms: list[str], results: Results) -> list[ProfileView]:
    return [
        ProfileView(
            arm=arm,
            share=list(one.share),
            low=None if one.low is None else list(one.low),
            high=None if one.high is None else list(one.high),
        )
        for arm, one in zip(arms, results.profiles, strict=True)
    ]


def _pairs(results: Results, datasets: int) -> list[AcrossPairView]:
    return [
        AcrossPairView(
            arm=pair.arm,
            baseline=pair.baseline,
            probability_of_improvement=EstimateView.of(pair.improvement),
            on_these_datasets=OnTheseDatasets.of(on_these),
            over_datasets=OverDatasets.of(pair, datasets),
        )
        for pair, on_these in zip(results.pairs, results.on_these.pairs, strict=True)
    ]


def _ranks(arms: list[str], results: Results, *, due: bool) -> RanksView | None:
    ranks = results.ranks
    if ranks is None:
        return None
    return RanksView(
        critical_difference=ranks.nemenyi,
        groups=[[arms[i] for i in group] for group in ranks.groups] if due else None,
        friedman=FriedmanView.of(ranks.friedman) if due and ranks.friedman is not None else None,
    )
