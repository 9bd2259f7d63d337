"""The arms of a study over several datasets: aggregates of normalized scores, and ranks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import sqlalchemy as sa

from service.errors import SpecRefused
from service.runs.states import TERMINAL
from service.statistics.across import Aggregates, Estimate, Profile, StratifiedBootstrap
from service.statistics.comparison import Comparison, Verdict, compare
from service.statistics.correction import Correction
from service.statistics.normalization import Method
from service.statistics.power import min_seeds
from service.statistics.ranks import RankComparison, RankTest, compare_ranks, signed_rank_tests
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.comparison import epoch_rule, read_study
from service.studies.dataset_scores import (
    Cells,
    DatasetScores,
    Excluded,
    Scaling,
    guessing_levels,
    included_arms,
    included_datasets,
    measured_cells,
    score_measurements,
)
from service.studies.datasets import Placed, placed_arms
from service.studies.looks import ALPHA, NotYet, not_yet
from service.studies.measurements import measure
from service.studies.metrics import check_at, check_metric, lower_is_better
from service.studies.replicates import replicate_numbers
from service.studies.schedule import schedule_of
from service.studies.variance import sources_of_variation

MAX_ARMS = 64
"""Arms of which aggregates are computed within seconds."""
MAX_RANKED_ARMS = 40
"""Arms up to which all pairs are tested, for the groups of the diagram."""
MAX_INTERVALS = 100
"""Pairs up to which probabilities of improvement have intervals."""


@dataclass(frozen=True, kw_only=True)
class AcrossQuestion:
    """A question about all datasets; None stands for the study's own metric, epoch and baseline."""

    metric: str | None = None
    at: str | None = None
    epoch_by: str | None = None
    baseline: str | None = None
    all_pairs: bool = False
    normalize: Literal["guessing", "best", "none"] | None = None
    """None for ``guessing`` if lower values are better, else ``none``."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The values with the scores 0 and 1, by dataset; instead of ``normalize``."""
    correction: Correction = "max_t"


@dataclass(frozen=True)
class AcrossPair:
    """An arm against a baseline over all datasets."""

    arm: str
    baseline: str
    improvement: Estimate
    ranks: RankTest
    verdict: Verdict
    """Over datasets, as a sample of more."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Statistics of the scores of the included datasets, in the order of the arms."""

    aggregates: Sequence[Aggregates]
    thresholds: Sequence[float]
    profiles: Sequence[Profile]
    pairs: Sequence[AcrossPair]
    ranks: RankComparison | None
    """None for too many arms."""
    on_these: Comparison
    """Arms paired by replicate, averaged over these datasets."""


@dataclass(frozen=True, kw_only=True)
class Across:
    """A study's arms over all its datasets."""

    study_id: str
    metric: str
    at: str
    epoch_by: str | None
    lower_is_better: bool
    exploratory: bool
    optimistic: bool
    complete: bool
    generalizes_over: Sequence[str]
    baseline: str | None
    correction: Correction
    alpha: float
    min_datasets: int
    """Datasets from which a difference can be significant over datasets."""
    looks: int
    not_yet: NotYet | None
    arms: Sequence[str]
    datasets: Sequence[DatasetScores]
    excluded_arms: Sequence[Excluded]
    excluded_datasets: Sequence[Excluded]
    results: Results | None
    """None if no dataset is left."""


def compare_across(connection: sa.Connection, study: Row, question: AcrossQuestion) -> Across:
    """Compare the study's arms over all its datasets.

    Raises:
        SpecRefused: The study has one dataset or too many arms, is sequential, or lacks the metric, epoch or dataset.
    """
    placed = placed_arms(study)
    _check_study(study, placed)
    metric, at = question.metric or study.metric, question.at or study.at
    check_metric(metric, "metric")
    check_at(at, "at")
    rule, lower = epoch_rule(study, at, question.epoch_by), lower_is_better(metric)
    method = _method(question, lower)
    baseline = None if question.all_pairs else _baseline(study, placed, question.baseline)
    data = read_study(connection, study, ("arm",), metric, rule, ())
    by_place = measured_cells(measure(data.slots, data.values, metric, rule), placed)
    levels = guessing_levels(data.runs, studies.guessing_of(connection, study.id, metric), placed)
    arms, excluded_arms = included_arms(by_place, placed)
    scaling = Scaling(method, question.ranges, lower)
    datasets, excluded = included_datasets(by_place, arms, placed, levels, scaling)
    expected = replicate_numbers(study.request, study.seeds)
    pending = not_yet(study, data.runs)
    alpha = ALPHA / study.looks
    if baseline is not None and arms and baseline not in arms:
        message = f"The baseline {baseline!r} has no results. The arms with results are {', '.join(map(repr, arms))}."
        raise SpecRefused.at("baseline", "no_such_arm", message, allowed=arms)
    pairs = _pairs(arms, baseline)
    return Across(
        study_id=study.id,
        metric=metric,
        at=at,
        epoch_by=rule.chosen_by(data.runs),
        lower_is_better=lower,
        exploratory=(metric, rule) != (study.metric, epoch_rule(study, study.at))
        or method != _method(AcrossQuestion(), lower)
        or bool(question.ranges),
        optimistic=rule.is_optimistic(data.runs, metric),
        complete=all(run.status in TERMINAL for run in data.runs),
        generalizes_over=sources_of_variation(connection, study),
        baseline=baseline,
        correction=question.correction,
        alpha=alpha,
        min_datasets=min_seeds(alpha, len(pairs) if question.correction == "holm" else 1),
        looks=study.looks,
        not_yet=pending,
        arms=arms,
        datasets=datasets,
        excluded_arms=excluded_arms,
        excluded_datasets=excluded,
        results=_results(by_place, arms, datasets, pairs, expected, alpha, question.correction, due=pending is None)
        if datasets
        else None,
    )


def _check_study(study: Row, placed: Mapping[str, Placed]) -> None:
    """Refuse studies whose arms have nothing to be compared over, or are too many.

    Raises:
        SpecRefused: The study has one dataset or more than 64 arms, or is sequential.
    """
    if len({one.dataset for one in placed.values()}) < 2:
        message = (
            "The study has one dataset. Submit a study with several, such as "
            '{"datasets": {"digits": {"kind": "digits"}, "mnist1d": {"kind": "mnist1d"}}}; runs that have finished are '
            "reused."
        )
        raise SpecRefused.at("", "one_dataset", message)
    if (arms := len({one.arm for one in placed.values()})) > MAX_ARMS:
        message = (
            f"The study has {arms} arms on each dataset, and at most {MAX_ARMS} are compared. Submit a study of fewer; "
            "it reuses these runs."
        )
        raise SpecRefused.at("", "too_many_arms", message)
    if schedule_of(study.request) is not None:
        message = "Arms of a sequential study end at different looks. Submit a study with a fixed number of seeds."
        raise SpecRefused.at("", "sequential_study", message)


def _method(question: AcrossQuestion, lower: bool) -> Method:
    """Return how scores are normalized.

    Raises:
        SpecRefused: Values of which lower is better would be scores themselves.
    """
    if question.normalize == "none" and lower:
        message = "Lower values of this metric are better, so they are no scores. Use guessing, best or range."
        raise SpecRefused.at("normalize", "lower_is_better", message, allowed=["guessing", "best"])
    return question.normalize or ("guessing" if lower else "none")


def _baseline(study: Row, placed: Mapping[str, Placed], requested: str | None) -> str:
    """Return the baseline apart from its dataset; ``requested`` may be either.

    Raises:
        SpecRefused: The study has no such arm.
    """
    arm = study.baseline if requested is None else requested
    names = list(dict.fromkeys(one.arm for one in placed.values()))
    name = placed[arm].arm if arm in placed else arm
    if name in names:
        return name
    message = f"Unknown baseline {requested!r}. The arms are {', '.join(map(repr, names))}."
    raise SpecRefused.at("baseline", "no_such_arm", message, allowed=names)


def _pairs(arms: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    if baseline is None:
        return [(b, a) for a, b in itertools.combinations(arms, 2)]
    return [(arm, baseline) for arm in arms if arm != baseline]


def _results(
    by_place: Cells,
    arms: Sequence[str],
    datasets: Sequence[DatasetScores],
    pairs: Sequence[tuple[str, str]],
    expected: Sequence[int],
    alpha: float,
    correction: Correction,
    *,
    due: bool,
) -> Results:
    bootstrap = StratifiedBootstrap([dataset.scores for dataset in datasets])
    thresholds = bootstrap.thresholds()
    means = np.array([dataset.scores.mean(axis=1) for dataset in datasets])
    places = [(arms.index(arm), arms.index(other)) for arm, other in pairs]
    tests = signed_rank_tests(means, places, correction)
    few = len(pairs) <= MAX_INTERVALS
    ranks = compare_ranks(means, alpha, correction) if 2 <= len(arms) <= MAX_RANKED_ARMS else None
    return Results(
        aggregates=[bootstrap.aggregates(i) for i in range(len(arms))],
        thresholds=thresholds.tolist(),
        profiles=[bootstrap.profile(i, thresholds) for i in range(len(arms))],
        pairs=[
            AcrossPair(
                *pair,
                bootstrap.probability_of_improvement(*place, interval=few),
                test,
                _verdict(test, alpha, due=due),
            )
            for pair, place, test in zip(pairs, places, tests, strict=True)
        ],
        ranks=ranks if due or ranks is None else replace(ranks, groups=()),
        on_these=compare(
            score_measurements(by_place, arms, datasets, expected),
            groups=arms,
            baseline=None,
            pairs=pairs,
            lower_is_better=False,
            alpha=alpha,
            correction=correction,
            seeds=expected,
            due=due,
        ),
    )


def _verdict(test: RankTest, alpha: float, *, due: bool) -> Verdict:
    if not due:
        return "not_yet"
    if test.p_adjusted > alpha:
        return "undecided"
    return "better" if test.favorable else "worse"
