"""The arms of a study over several datasets: aggregates of normalized scores, and ranks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

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
from service.studies.dataset_scores import Scaling, StudyScores, guessing_levels, score_measurements, study_scores
from service.studies.datasets import Placed, placed_arms
from service.studies.looks import ALPHA, NotYet, not_yet
from service.studies.measurements import measure
from service.studies.metrics import check_at, check_metric, lower_is_better
from service.studies.replicates import replicate_numbers
from service.studies.schedule import schedule_of
from service.studies.study_data import epoch_rule, read_study
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
class Family:
    """The pairs (arm, baseline) that are tested together."""

    pairs: Sequence[tuple[str, str]]
    alpha: float
    correction: Correction
    due: bool
    """Whether the study's look is due, so that there are verdicts."""


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
    scores: StudyScores
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
    levels = guessing_levels(data.runs, studies.guessing_of(connection, study.id, metric), placed)
    measurements = measure(data.slots, data.values, metric, rule)
    scores = study_scores(measurements, placed, levels, Scaling(method, question.ranges, lower))
    pending = not_yet(study, data.runs)
    family = Family(_pairs(scores.arms, baseline), ALPHA / study.looks, question.correction, due=pending is None)
    expected = replicate_numbers(study.request, study.seeds)
    return Across(
        study_id=study.id,
        metric=metric,
        at=at,
        epoch_by=rule.chosen_by(data.runs),
        lower_is_better=lower,
        exploratory=(metric, rule) != (study.metric, epoch_rule(study, study.at))
        or method != _method(AcrossQuestion(), lower)
        or bool(question.ranges)
        or baseline not in (None, _baseline(study, placed, None)),
        optimistic=rule.is_optimistic(data.runs, metric),
        complete=all(run.status in TERMINAL for run in data.runs),
        generalizes_over=sources_of_variation(connection, study),
        baseline=baseline,
        correction=question.correction,
        alpha=family.alpha,
        min_datasets=min_seeds(family.alpha, len(family.pairs) if question.correction == "holm" else 1),
        looks=study.looks,
        not_yet=pending,
        scores=scores,
        results=_results(scores, family, expected) if scores.datasets else None,
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
    """Return the pairs (arm, baseline): all if ``baseline`` is None, and none as long as it has no results."""
    if baseline is None:
        return [(b, a) for a, b in itertools.combinations(arms, 2)]
    return [(arm, baseline) for arm in arms if arm != baseline and baseline in arms]


def _results(scores: StudyScores, family: Family, expected: Sequence[int]) -> Results:
    """Return the statistics of scores; ``expected`` are the numbers of the study's replicates."""
    arms, means = scores.arms, scores.means
    bootstrap = StratifiedBootstrap([dataset.scores for dataset in scores.datasets])
    thresholds = bootstrap.thresholds()
    places = [(arms.index(arm), arms.index(other)) for arm, other in family.pairs]
    tests = signed_rank_tests(means, places, family.correction)
    few = len(family.pairs) <= MAX_INTERVALS
    ranked = 2 <= len(arms) <= MAX_RANKED_ARMS
    ranks = compare_ranks(means, family.alpha, family.correction) if ranked else None
    return Results(
        aggregates=[bootstrap.aggregates(i) for i in range(len(arms))],
        thresholds=thresholds.tolist(),
        profiles=[bootstrap.profile(i, thresholds) for i in range(len(arms))],
        pairs=[
            AcrossPair(
                *pair,
                bootstrap.probability_of_improvement(*place, interval=few),
                test,
                _verdict(test, family),
            )
            for pair, place, test in zip(family.pairs, places, tests, strict=True)
        ],
        ranks=ranks if family.due or ranks is None else replace(ranks, groups=()),
        on_these=compare(
            score_measurements(scores, expected),
            groups=arms,
            baseline=None,
            pairs=family.pairs,
            lower_is_better=False,
            alpha=family.alpha,
            correction=family.correction,
            seeds=expected,
            due=family.due,
        ),
    )


def _verdict(test: RankTest, family: Family) -> Verdict:
    if not family.due:
        return "not_yet"
    if test.p_adjusted > family.alpha:
        return "undecided"
    return "better" if test.favorable else "worse"
