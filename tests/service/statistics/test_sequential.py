"""Sequential studies against brute force over all flips, and their rules one by one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from service.statistics import boundary
from service.statistics.design import Design
from service.statistics.pairing import PairedSample
from service.statistics.repeated_interval import ShiftedTest
from service.statistics.sequential import SequentialAnalysis, analyze
from service.statistics.sign_flip import subset_sums

Floats = NDArray[np.float64]

SMALL = Design(9, first=6, step=1, alpha=0.2)

matrices = st.integers(1, 3).flatmap(
    lambda m: arrays.arrays(float, (9, m), elements=st.integers(-12, 12).map(float), fill=st.nothing())
)


def samples(d: Floats) -> list[PairedSample]:
    seeds = tuple(range(len(d)))
    return [PairedSample(f"arm {j}", "plain", seeds, d[:, j], (), (), 0, True) for j in range(d.shape[1])]


def analysis(d: Floats, design: Design = SMALL, min_effect: float | None = None) -> SequentialAnalysis:
    return analyze(design, samples(d), range(len(d)), min_effect=min_effect)


def decided_at(result: SequentialAnalysis) -> list[int | None]:
    return [one.decided_at for one in result.results]


def scale(d: Floats) -> Floats:
    scales: Floats = np.linalg.norm(d, axis=0)
    return np.where(scales > 0, scales, 1.0)


def brute_force_thresholds(d: Floats, design: Design) -> list[float]:
    """Return the critical values of the columns of ``d`` by the definition, from all 2ⁿ sign vectors of each look."""
    values: list[float] = []
    spent, rejectable = 0.0, False
    for n in (n for n in design.looks if n <= len(d)):
        signs = np.array(list(itertools.product([1.0, -1.0], repeat=n)))

        def statistics(seeds: int, signs: Floats = signs) -> Floats:
            return signs[:, :seeds] @ d[:seeds] / scale(d[:seeds])

        now = statistics(n)
        crossed = np.zeros(now.shape, bool)
        for earlier, value in zip(design.looks, values, strict=False):
            crossed |= statistics(earlier) * np.sign(now) > value
        largest = np.where(crossed, -1, np.abs(now)).max(axis=1)
        allowed = math.floor((design.spendable(n) - spent) * len(signs) / 2 + 1e-9)  # s and −s together
        candidates = [v for v in sorted({0.0, *np.abs(now).ravel()}) if (largest > v + 1e-9).sum() <= 2 * allowed]
        values.append(candidates[0] + 1e-10 if allowed else math.inf)
        if d.shape[1] == 1:
            spent += float((largest > values[-1]).mean())
        else:
            tops = (np.abs(now) >= np.abs(now).max(axis=0) - 1e-9).mean(axis=0)
            rejectable = rejectable or bool((tops <= design.spendable(n) + 1e-12).any())
            spent += 2 * allowed / len(signs) if rejectable else 0
    return values


def brute_force_decisions(d: Floats, design: Design) -> list[int | None]:
    left = list(range(d.shape[1]))
    decided: list[int | None] = [None for _ in left]
    for k, n in enumerate(design.looks):
        while left:
            values = brute_force_thresholds(d[:n, left], design)
            t = np.array([np.abs(d[:m, left].sum(axis=0)) / scale(d[:m, left]) for m in design.looks[: k + 1]])
            crossed = [j for i, j in enumerate(left) if (t[:, i] > values).any()]
            if not crossed:
                break
            for j in crossed:
                decided[j] = n
            left = [j for j in left if j not in crossed]
    return decided


@settings(max_examples=25)
@given(matrices)
def test_decisions_match_brute_force_over_all_signs(d: Floats) -> None:
    assert decided_at(analysis(d)) == brute_force_decisions(d, SMALL)


@pytest.mark.parametrize(
    "magnitudes",
    [
        np.random.default_rng(0).normal(size=(8, 1)),
        np.random.default_rng(1).standard_cauchy((8, 2)),
        np.random.default_rng(2).integers(0, 3, (8, 2)).astype(float),
        np.geomspace(1, 1000, 8)[:, None] * [1.0, 2.0, -1.0],
    ],
)
def test_share_of_all_signs_that_decide_is_at_most_alpha(magnitudes: Floats) -> None:
    """The error is exact for any magnitudes: heavy tails, ties, later seeds more variable, equal comparisons."""
    design = Design(8, first=5, step=1, alpha=0.15)
    flips = [np.array([1.0, *signs])[:, None] for signs in itertools.product([1.0, -1.0], repeat=7)]
    decided = [any(decided_at(analyze_decisions(flip * magnitudes, design))) for flip in flips]
    assert np.mean(decided) <= 0.15
    if magnitudes.shape[1] == 1:  # no ties: all that rounding leaves is spent
        assert np.mean(decided) >= 0.15 - 1 / 128


def analyze_decisions(d: Floats, design: Design) -> SequentialAnalysis:
    return analyze(design, samples(d), range(len(d)), intervals=False)


def test_random_flips_agree_with_all_flips(monkeypatch: pytest.MonkeyPatch) -> None:
    d, design = np.random.default_rng(3).normal(0.2, 1, (16, 3)), Design(16)
    exact = [look.critical_value for look in analysis(d, design).results[0].looks]
    monkeypatch.setattr(boundary, "EXACT_UP_TO", 10)
    random = [look.critical_value for look in analysis(d, design).results[0].looks]
    assert random[0] == exact[0]
    assert random == pytest.approx(exact, rel=0.02)


def test_results_do_not_depend_on_seeds_added_after_the_decision() -> None:
    d = np.random.default_rng(4).normal([1.2, 0.6, 0.0], 1, (16, 3))
    full, first = analysis(d, Design(16)), analysis(d[:12], Design(16))
    early = [j for j, result in enumerate(full.results) if result.decided_at and result.decided_at <= 12]
    assert early
    assert [first.results[j] for j in early] == [full.results[j] for j in early]
    assert first.next_look == 16


def test_order_signs_and_scales_of_comparisons_do_not_matter() -> None:
    d = np.random.default_rng(5).normal([1.1, 0.5, 0.0], 1, (12, 3))
    expected = decided_at(analysis(d, Design(12)))
    assert decided_at(analysis(d[:, [2, 0, 1]] * [1e-6, -1, 1e6], Design(12))) == [expected[j] for j in (2, 0, 1)]


def test_decision_names_the_better_side_and_marks_the_mean() -> None:
    d = np.random.default_rng(6).normal([-2.0, 2.0], 1, (16, 2))
    better, worse = analysis(d, Design(16)).results
    assert (better.decision, worse.decision) == ("better", "worse")
    assert better.decided_at == 8
    assert better.mean_biased
    assert better.interval is not None
    assert better.interval[0] < better.mean < better.interval[1] < 0  # type: ignore[operator]


def test_missing_pairs_count_as_zero_and_are_left_out_of_the_mean() -> None:
    d, design = np.random.default_rng(7).normal(1, 1, (12, 1)), Design(12, first=12)
    present = [i for i in range(12) if i not in (2, 9)]
    sample = PairedSample("a", "b", tuple(present), d[present, 0], (), (), 2, True)
    (result,) = analyze(design, [sample], range(12)).results
    zeroed = d.copy()
    zeroed[[2, 9]] = 0
    (other,) = analysis(zeroed, design).results
    assert result.looks == other.looks
    assert result.n == 10
    assert result.mean == pytest.approx(d[present].mean())


def test_divergence_turns_a_comparison_into_a_sign_test_with_its_own_share_of_alpha() -> None:
    d = np.random.default_rng(8).normal([1.0, 0.0, 0.0], 1, (12, 3))
    d[:, 0] = [-20, -20, *np.abs(d[2:, 0])]
    with_seed = [i for i in range(12) if i != 10]
    tested = [
        PairedSample("a", "b", tuple(with_seed), d[with_seed, 0], (10,), (), 0, True),
        *samples(d)[1:],
    ]
    result = analyze(Design(12, alpha=0.15), tested, range(12)).results
    assert [one.test for one in result] == ["sign", "sign_flip", "sign_flip"]
    assert result[0].looks[1].alpha_spendable == pytest.approx(0.15 / 3 * 4 / 12)
    assert result[1].looks[1].alpha_spendable == pytest.approx(0.15 * 8 / 12 + 0.15 * 2 / 3 * 4 / 12)
    assert result[0].looks[1].statistic == pytest.approx(8 / math.sqrt(12))  # two wins, ten losses
    assert result[0].decision is None


def test_baseline_that_diverges_is_a_win() -> None:
    diverged = PairedSample("a", "b", (0,), np.array([-0.1]), (), tuple(range(1, 8)), 0, True)
    (result,) = analyze(Design(8), [diverged], range(8)).results
    assert (result.decision, result.test, result.n) == ("better", "sign", 1)


def test_equivalent_comparison_leaves_without_lowering_the_critical_values_of_others() -> None:
    d = np.random.default_rng(9).normal(0, 1, (16, 3)) * [1, 1, 0.02]
    left = analysis(d, Design(16), min_effect=0.1).results
    stayed = analysis(d, Design(16)).results
    assert (left[2].decision, left[2].decided_at) == ("equivalent", 8)
    for ours, theirs in zip(left[0].looks, stayed[0].looks, strict=True):
        assert ours.critical_value is not None
        assert theirs.critical_value is not None
        assert ours.critical_value >= theirs.critical_value


@given(arrays.arrays(float, 10, elements=st.floats(0.01, 1)))
def test_share_of_flips_counted_for_a_departed_comparison_is_never_too_small(magnitudes: Floats) -> None:
    t = np.sort(np.abs(subset_sums(-2 * magnitudes) + magnitudes.sum()) / np.linalg.norm(magnitudes))
    beyond = 1 - np.arange(len(t)) / len(t)
    assert (beyond <= boundary.BENTKUS * scipy.special.erfc((t - 1e-9) / math.sqrt(2)) + 1e-12).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_interval_ends_where_the_test_of_a_shift_becomes_significant(seed: int) -> None:
    d, design = np.random.default_rng(seed).standard_t(1.5, (8, 1)) + 0.5, Design(8, first=6, step=1, alpha=0.1)
    interval = analysis(d, design).results[0].interval
    assert interval is not None
    for end in interval:
        for stretch, significant in ((1.002, True), (0.998, False)):
            x = d - (d.mean() + stretch * (end - d.mean()))
            critical = brute_force_thresholds(x, design)[-1]
            assert (abs(x.sum()) / np.linalg.norm(x) > critical) == significant


@pytest.mark.slow
def test_intervals_of_all_looks_cover_the_true_difference_together() -> None:
    """80 studies of a heavy-tailed law; one in ten may miss the truth at either of its looks."""
    rng, design, missed = np.random.default_rng(11), Design(8, first=6, step=2, alpha=0.1), 0
    for _ in range(80):
        d = rng.standard_t(2, (8, 1)) + 1.5
        tests = [ShiftedTest(design, d[:n, 0], np.ones(n)).interval(0.1) for n in design.looks]
        missed += any(interval and not interval[0] <= 1.5 <= interval[1] for interval in tests)
    assert missed / 80 <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 80)


def heavy_tails(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.standard_t(1.5, shape) * np.exp(rng.normal(0, 1, (shape[0], 1)))


def ties(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.integers(-1, 2, shape).astype(float)


def correlated(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Arms that hardly differ from each other; the baseline varies."""
    return rng.normal(size=shape) * [3.0, *[0.1] * (shape[1] - 1)]


@pytest.mark.parametrize("noise", [heavy_tails, ties, correlated])
@pytest.mark.parametrize(("missing", "diverging"), [(0.0, 0.0), (0.1, 0.1)])
def test_error_over_all_looks_is_at_most_alpha(
    noise: Callable[[np.random.Generator, tuple[int, int]], Floats], missing: float, diverging: float
) -> None:
    """Three arms against a baseline, one of which differs from it; at up to ten seeds, with three looks."""
    rng, studies, wrong = np.random.default_rng(12), 200, 0
    for _ in range(studies):
        values = noise(rng, (10, 4))
        d = values[:, 1:] - values[:, :1]
        d[:, 0] += 2 * np.abs(d).mean()
        diverged = rng.random((10, 4)) < diverging
        paired = ~diverged[:, 1:] & ~diverged[:, :1] & (rng.random(d.shape) >= missing)
        only_one = diverged[:, 1:] != diverged[:, :1]
        tested = [
            PairedSample(
                str(j),
                "plain",
                tuple(np.flatnonzero(paired[:, j]).tolist()),
                d[paired[:, j], j],
                tuple(np.flatnonzero(only_one[:, j] & diverged[:, j + 1]).tolist()),
                tuple(np.flatnonzero(only_one[:, j] & diverged[:, 0]).tolist()),
                0,
                True,
            )
            for j in range(3)
        ]
        results = analyze(Design(10, first=6, step=2, alpha=0.1), tested, range(10), intervals=False).results
        wrong += any(result.decision for result in results[1:])
    assert wrong / studies <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / studies)


def test_equal_results_are_equivalent_once_their_number_suffices() -> None:
    (result,) = analysis(np.zeros((12, 1)), Design(12), min_effect=0.1).results
    assert (result.decision, result.decided_at, result.interval) == ("equivalent", 8, (0.0, 0.0))
    (shifted,) = analysis(np.full((12, 1), 0.05), Design(12), min_effect=0.1).results
    assert shifted.interval == pytest.approx((0.05, 0.05))


def test_study_before_its_first_look_is_undecided() -> None:
    early = analysis(np.ones((7, 1)), Design(32))
    assert (early.seeds, early.next_look, early.results[0].looks) == (0, 8, ())
    assert (early.results[0].mean, early.results[0].interval) == (None, None)


@pytest.mark.parametrize(
    ("max_seeds", "looks"), [(8, (8,)), (12, (8, 12)), (14, (8, 12, 14)), (32, (8, 12, 16, 20, 24, 28, 32))]
)
def test_looks_are_every_step_from_the_first_to_the_maximum(max_seeds: int, looks: tuple[int, ...]) -> None:
    assert Design(max_seeds).looks == looks


def test_design_knows_the_first_look_that_can_decide() -> None:
    assert Design(32).decisive_from == 8
    assert Design(64).decisive_from == 12
    assert Design(5, first=2, step=1).decisive_from is None


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"max_seeds": 7}, "At most 7 seeds are fewer than the 8 of the first look"),
        ({"max_seeds": 8, "step": 0}, "must be at least 1"),
        ({"max_seeds": 8, "alpha": 1.5}, "must be between 0 and 1"),
    ],
)
def test_impossible_designs_are_refused(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Design(**numbers)
