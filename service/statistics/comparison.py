"""Arms compared pair by pair over equal seeds; the verdict may be "undecided"."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from service.statistics.correction import Correction, corrected_by_holm, corrected_by_max_t
from service.statistics.pairing import Measurement, PairedSample, Test, pair_seeds
from service.statistics.power import min_seeds, seeds_for_power
from service.statistics.sequential import SequentialResult
from service.statistics.sign_flip import Floats, SignFlipResult
from service.statistics.summaries import Summary, complete_cells, flip_tests, std_of, summaries_of, tabulated

Verdict = Literal["better", "worse", "equivalent", "undecided", "not_yet"]
"""``not_yet``: the look is not due, so nothing was tested."""
BOOTSTRAP_FROM = 20
"""Pairs from which a bootstrap interval is computed; with fewer it is too narrow."""
RESAMPLES = 9_999


@dataclass(frozen=True)
class Pair:
    """A group compared with a baseline. Differences are the group's value minus the baseline's."""

    group: str
    baseline: str
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    mean: float | None
    std: float | None
    wins: int
    losses: int
    diverged: int
    """Seeds at which the group diverged and the baseline did not."""
    baseline_diverged: int
    missing: int
    """Seeds at which either group has no value and will not get one."""
    test: Test = "none"
    interval: tuple[float, float] | None = None
    bootstrap: tuple[float, float] | None = None
    p: float | None = None
    p_adjusted: float | None = None
    """Corrected as the comparison says."""
    p_holm: float | None = None
    p_equivalence: float | None = None
    verdict: Verdict = "not_yet"
    seeds_for_power: int | None = None
    sequential: SequentialResult | None = None
    """The result in a sequential study, where ``interval`` is the repeated confidence interval, and ``p`` is None."""


@dataclass(frozen=True)
class Comparison:
    """All groups, and the pairs of the family."""

    alpha: float
    correction: Correction
    min_seeds: int
    groups: tuple[Summary, ...]
    pairs: tuple[Pair, ...]


def compare(
    measurements: Iterable[Measurement],
    *,
    groups: Sequence[str],
    baseline: str | None,
    pairs: Sequence[tuple[str, str]] | None = None,
    lower_is_better: bool,
    alpha: float,
    correction: Correction = "max_t",
    seeds: Collection[int] = (),
    min_effect: float | None = None,
    bootstrap: bool = False,
    due: bool = True,
    next_alpha: float | None = None,
) -> Comparison:
    """Summarize every group and compare the groups with ``baseline``, or all with all if it is None.

    ``pairs`` (group, baseline) replaces these pairs.
    Means are over the seeds all of whose cells are measured. A diverged run makes its pair a loss in a sign test; mean
    differences are over the pairs in which both runs were measured. Every group is expected to have ``seeds``: those
    without a run count as missing. If the look is not ``due``, nothing is tested: there are no p-values, intervals or
    verdicts. More seeds would be judged at ``next_alpha``, as adding them is another look; None stands for ``alpha``.
    """
    table = tabulated(measurements, groups)
    pairs = _pairs(groups, baseline) if pairs is None else pairs
    samples = [pair_seeds(group, table[group], other, table[other], seeds, lower_is_better) for group, other in pairs]
    cells = {group: complete_cells(by_seed) for group, by_seed in table.items()}
    means = [
        np.array([values.mean() if len(values) > 1 else values[0] for values in seeds]) for seeds in cells.values()
    ]
    vectors = [*means, *(sample.differences for sample in samples)] if due else []
    tests = flip_tests(vectors, alpha, min_effect)  # all at once, because vectors of equal length share their flips
    return Comparison(
        alpha=alpha,
        correction=correction,
        min_seeds=min_seeds(alpha, len(samples) if correction == "holm" else 1),
        groups=tuple(summaries_of(table, seeds, cells, means, tests[: len(means)] if due else [None] * len(means))),
        pairs=tuple(
            _test_pairs(
                samples, tests[len(means) :], alpha, next_alpha or alpha, correction, min_effect, bootstrap=bootstrap
            )
        )
        if due
        else tuple(_untested(sample) for sample in samples),
    )


def _test_pairs(
    samples: Sequence[PairedSample],
    tests: Sequence[SignFlipResult | None],
    alpha: float,
    next_alpha: float,
    correction: Correction,
    min_effect: float | None,
    *,
    bootstrap: bool,
) -> list[Pair]:
    """Test every pair, with p-values corrected within the family."""
    raw = [sample.p(flips) for sample, flips in zip(samples, tests, strict=True)]
    equivalence = [sample.p_equivalence(flips) for sample, flips in zip(samples, tests, strict=True)]
    by_holm = corrected_by_holm(raw)
    adjusted = corrected_by_max_t(samples, raw) if correction == "max_t" else by_holm
    pairs = []
    for sample, flips, p, p_adjusted, p_holm, p_equivalence in zip(
        samples, tests, raw, adjusted, by_holm, corrected_by_holm(equivalence), strict=True
    ):
        n, std = len(sample.differences), std_of(sample.differences)
        pairs.append(
            replace(
                _untested(sample),
                interval=flips.interval if flips else None,
                bootstrap=_bootstrap(sample.differences, alpha) if bootstrap and n >= BOOTSTRAP_FROM else None,
                test=sample.test,
                p=p,
                p_adjusted=p_adjusted,
                p_holm=p_holm,
                p_equivalence=p_equivalence,
                verdict=_verdict(sample, p_adjusted, p_equivalence, alpha),
                seeds_for_power=_seeds_needed(n, std, min_effect, (alpha, next_alpha), len(samples)),
            )
        )
    return pairs


def _seeds_needed(
    n: int, std: float | None, min_effect: float | None, alphas: tuple[float, float], comparisons: int
) -> int | None:
    """Return the seeds that detect ``min_effect``: at the first level if the ``n`` suffice, else at the second."""
    if not min_effect or std is None:
        return None
    needed = seeds_for_power(std, min_effect, alphas[0], comparisons)
    if needed is not None and needed > n:
        return seeds_for_power(std, min_effect, alphas[1], comparisons)
    return needed


def _untested(sample: PairedSample) -> Pair:
    """Return the pair's description, without the results of any test."""
    return Pair(
        group=sample.group,
        baseline=sample.baseline,
        seeds=sample.seeds,
        differences=tuple(sample.differences.tolist()),
        mean=float(sample.differences.mean()) if len(sample.differences) else None,
        std=std_of(sample.differences),
        wins=sample.wins,
        losses=sample.losses,
        diverged=sample.only_group_diverged,
        baseline_diverged=sample.only_baseline_diverged,
        missing=sample.missing,
    )


def samples_of(
    measurements: Iterable[Measurement],
    *,
    groups: Sequence[str],
    baseline: str | None,
    pairs: Sequence[tuple[str, str]] | None = None,
    lower_is_better: bool,
    seeds: Collection[int] = (),
) -> list[PairedSample]:
    """Return the paired samples that ``compare`` tests."""
    table = tabulated(measurements, groups)
    pairs = _pairs(groups, baseline) if pairs is None else pairs
    return [pair_seeds(group, table[group], other, table[other], seeds, lower_is_better) for group, other in pairs]


def with_sequential(
    comparison: Comparison, results: Mapping[tuple[str, str], SequentialResult], *, ended: bool
) -> Comparison:
    """Return an untested comparison with the results of a sequential study, by group and baseline.

    Undecided pairs have the verdict "undecided" once the study has ``ended``.
    """

    def judged(pair: Pair) -> Pair:
        result = results.get((pair.group, pair.baseline))
        if result is None:
            return pair
        test: Test = "sequential_sign" if result.test == "sign" else "sequential_sign_flip"
        verdict: Verdict = result.decision or ("undecided" if ended else "not_yet")
        return replace(pair, test=test, interval=result.interval, verdict=verdict, sequential=result)

    return replace(comparison, pairs=tuple(judged(pair) for pair in comparison.pairs))


def _pairs(groups: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    """Return the pairs (group, baseline): all if ``baseline`` is None."""
    if baseline is None:
        return [(b, a) for a, b in itertools.combinations(groups, 2)]
    return [(group, baseline) for group in groups if group != baseline]


def _verdict(sample: PairedSample, p_adjusted: float | None, p_equivalence: float | None, alpha: float) -> Verdict:
    if p_equivalence is not None and p_equivalence <= alpha:
        return "equivalent"
    if p_adjusted is not None and p_adjusted <= alpha:
        return "better" if sample.favorable else "worse"
    return "undecided"


def _bootstrap(differences: Floats, alpha: float) -> tuple[float, float]:
    """Return the bias-corrected and accelerated bootstrap interval of the mean."""
    from scipy import stats  # noqa: PLC0415 - slow to import, and seldom requested

    result = stats.bootstrap(
        (differences,), np.mean, confidence_level=1 - alpha, method="BCa", n_resamples=RESAMPLES, rng=0
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
