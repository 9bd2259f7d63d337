"""Comparisons: verdicts, diverged runs, cells, and error rates over simulated studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats

from service.statistics import comparison as comparisons
from service.statistics import sign_flip
from service.statistics.comparison import Comparison, Pair
from service.statistics.pairing import Measurement, State


def rows(**groups: Sequence[float]) -> list[Measurement]:
    """Return measurements of the values by group, at seeds from 0; NaN stands for a diverged run."""
    states: dict[bool, State] = {True: "diverged", False: "measured"}
    return [
        Measurement(group, seed, "", states[math.isnan(value)], value)
        for group, values in groups.items()
        for seed, value in enumerate(values)
    ]


def compare(measurements: list[Measurement], **options: Any) -> Comparison:
    groups = list(dict.fromkeys(one.group for one in measurements))
    defaults = {"groups": groups, "baseline": groups[0], "lower_is_better": True, "alpha": 0.05}
    return comparisons.compare(measurements, **{**defaults, **options})


def only(comparison: Comparison) -> Pair:
    (pair,) = comparison.pairs
    return pair


BASE = [0.50, 0.52, 0.47, 0.55, 0.49, 0.51, 0.53, 0.48]


def test_lower_loss_in_every_pair_is_better_and_numbers_match_scipy() -> None:
    other = [value - 0.02 - 0.001 * i for i, value in enumerate(BASE)]
    comparison = compare(rows(plain=BASE, other=other))
    pair, d = only(comparison), np.subtract(other, BASE)
    assert (pair.verdict, pair.wins, pair.losses, pair.test) == ("better", 8, 0, "sign_flip_exact")
    assert pair.p == pair.p_adjusted == 2 / 2**8
    assert pair.mean == pytest.approx(d.mean())
    assert pair.std == pytest.approx(scipy.stats.tstd(d))
    assert comparison.groups[0].mean == pytest.approx(np.mean(BASE))
    assert comparison.groups[0].std == pytest.approx(scipy.stats.tstd(BASE))


def test_seed_without_a_value_counts_as_missing_pair() -> None:
    states: list[State] = ["measured", "missing", "diverged", "unfinished", "measured"]
    ours = [Measurement("b", seed, "", state, 0.1) for seed, state in enumerate(states)]
    theirs = [Measurement("a", seed, "", "measured" if seed != 2 else "missing", 0.2) for seed in range(4)]
    pair = only(compare([*theirs, *ours], seeds=range(6)))
    # Seeds 1 and 2 have no value in one of the arms, 4 and 5 no run; the value of 3 may still come.
    assert (pair.seeds, pair.diverged, pair.missing) == ((0,), 0, 4)
    assert only(compare([*theirs, *ours])).missing == 2


def test_swapped_arms_have_opposite_signs_and_verdicts() -> None:
    other = [value - 0.02 - 0.001 * i for i, value in enumerate(BASE)]
    forward, backward = (only(compare(rows(a=BASE, b=other), baseline=baseline)) for baseline in "ab")
    assert (forward.verdict, backward.verdict) == ("better", "worse")
    assert forward.differences == pytest.approx([-value for value in backward.differences])
    assert forward.p == backward.p
    assert forward.interval is not None
    assert backward.interval is not None
    assert forward.interval == pytest.approx((-backward.interval[1], -backward.interval[0]))


def test_higher_accuracy_is_better() -> None:
    other = [value + 0.02 + 0.001 * i for i, value in enumerate(BASE)]
    assert only(compare(rows(a=BASE, b=other), lower_is_better=False)).verdict == "better"


def test_five_seeds_are_never_significant_and_one_has_no_p() -> None:
    far = [value - 10 - i for i, value in enumerate(BASE)]
    pair = only(compare(rows(a=BASE[:5], b=far[:5])))
    assert (pair.verdict, pair.p, pair.interval) == ("undecided", 2 / 2**5, None)
    pair = only(compare(rows(a=BASE[:1], b=far[:1])))
    assert (pair.verdict, pair.p, pair.std, pair.test) == ("undecided", None, None, "none")


def test_diverged_run_is_a_loss_in_the_sign_test_and_excluded_from_the_mean() -> None:
    other = [value - 0.02 for value in BASE]
    pair = only(compare(rows(a=BASE, b=[*other[:7], math.nan])))
    assert (pair.test, pair.wins, pair.losses, pair.diverged) == ("sign", 7, 1, 1)
    assert pair.p == pytest.approx(scipy.stats.binomtest(7, 8).pvalue)
    assert pair.verdict == "undecided"
    assert pair.mean == pytest.approx(-0.02)
    assert len(pair.seeds) == 7
    pair = only(compare(rows(a=[math.nan] * 6 + BASE[6:], b=other)))
    assert (pair.verdict, pair.wins, pair.baseline_diverged) == ("better", 8, 6)
    assert not only(compare(rows(a=[math.nan], b=[math.nan]))).seeds


def test_small_differences_are_equivalent_only_with_min_effect() -> None:
    rng = np.random.default_rng(0)
    close = [value + float(rng.normal(0, 0.001)) for value in BASE]
    assert only(compare(rows(a=BASE, b=close))).verdict == "undecided"
    pair = only(compare(rows(a=BASE, b=close), min_effect=0.01))
    assert (pair.verdict, pair.seeds_for_power) == ("equivalent", 6)
    assert only(compare(rows(a=BASE, b=close), min_effect=1e-5)).verdict == "undecided"


def test_seeds_for_power_depend_on_the_smallest_effect() -> None:
    rng = np.random.default_rng(1)
    noisy = [value + float(rng.normal(0, 0.05)) for value in BASE]
    few, many = (only(compare(rows(a=BASE, b=noisy), min_effect=effect)).seeds_for_power for effect in (0.05, 0.01))
    assert few is not None
    assert many is not None
    assert many > 10 * few


def test_pairs_average_the_cells_that_both_groups_have() -> None:
    measurements = [
        Measurement("a", 0, "fold 0", "measured", 1.0),
        Measurement("a", 0, "fold 1", "measured", 3.0),
        Measurement("b", 0, "fold 0", "measured", 2.0),
        Measurement("b", 0, "fold 1", "measured", 5.0),
        Measurement("a", 1, "fold 0", "measured", 1.0),
        Measurement("b", 1, "fold 0", "unfinished"),
        Measurement("a", 2, "fold 0", "measured", 1.0),
        Measurement("b", 2, "fold 1", "measured", 9.0),
    ]
    comparison = compare(measurements)
    pair = only(comparison)
    assert (pair.seeds, pair.differences) == ((0,), (1.5,))
    assert [(group.n, group.unfinished) for group in comparison.groups] == [(3, 0), (2, 1)]


def test_all_pairs_are_corrected_for_their_number() -> None:
    rng = np.random.default_rng(2)
    arms = {name: rng.normal(0, 1, 10).tolist() for name in "abcd"}
    comparison = compare(rows(**arms), baseline=None)
    assert len(comparison.pairs) == 6
    assert comparison.min_seeds == 6
    raw, adjusted, by_holm = np.array([(pair.p, pair.p_adjusted, pair.p_holm) for pair in comparison.pairs]).T
    assert min(by_holm) == pytest.approx(min(1, 6 * min(raw)))
    assert (adjusted >= raw).all()
    assert min(adjusted) <= 6 * min(raw)
    held = compare(rows(**arms), baseline=None, correction="holm")
    assert held.min_seeds == 8
    assert [pair.p_adjusted for pair in held.pairs] == [pair.p_holm for pair in held.pairs] == by_holm.tolist()


def test_six_seeds_decide_ten_arms_by_max_t_and_not_by_holm() -> None:
    arms = {f"arm {i}": [value - 0.02 * i - 0.001 * j for j, value in enumerate(BASE[:6])] for i in range(1, 10)}
    by_max_t, by_holm = (compare(rows(plain=BASE[:6], **arms), correction=one) for one in ("max_t", "holm"))
    assert {pair.verdict for pair in by_max_t.pairs} == {"better"}
    assert {pair.verdict for pair in by_holm.pairs} == {"undecided"}
    assert {pair.p_adjusted for pair in by_max_t.pairs} == {2 / 2**6}


def test_divergence_shares_alpha_between_sign_flip_and_sign_tests() -> None:
    arms = {name: [value - 0.02 - 0.001 * j for j, value in enumerate(BASE)] for name in "abc"}
    arms["c"] = [math.nan] * 8
    pairs = {pair.group: pair for pair in compare(rows(plain=BASE, **arms)).pairs}
    assert pairs["a"].p_adjusted == pairs["b"].p_adjusted == pytest.approx(2 / 2**8 * 3 / 2)
    assert pairs["c"].p_adjusted == pytest.approx(3 * 2 / 2**8)
    assert pairs["c"].verdict == "worse"


def test_pair_without_enough_seeds_has_no_p_and_leaves_the_others_theirs() -> None:
    measurements = rows(a=BASE, b=[value - 0.02 for value in BASE], c=[0.4])
    pairs = {pair.group: pair for pair in compare(measurements).pairs}
    assert (pairs["c"].p, pairs["c"].p_adjusted, pairs["c"].p_holm) == (None, None, None)
    assert pairs["b"].p_adjusted == 2 / 2**8


def test_bootstrap_matches_scipy_and_needs_twenty_pairs() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.exponential(1, (2, 24))
    pair = only(compare(rows(a=a.tolist(), b=b.tolist()), bootstrap=True))
    theirs = scipy.stats.bootstrap((b - a,), np.mean, confidence_level=0.95, n_resamples=9_999, rng=0)
    assert pair.bootstrap == pytest.approx(tuple(theirs.confidence_interval))
    assert only(compare(rows(a=a[:19].tolist(), b=b[:19].tolist()), bootstrap=True)).bootstrap is None


@pytest.fixture
def without_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the confidence intervals, which take most of the time and which no verdict depends on."""
    monkeypatch.setattr(sign_flip, "_exact_interval", lambda *_: None)


@pytest.mark.slow
@pytest.mark.usefixtures("without_intervals")
@pytest.mark.parametrize("diverging", [0.0, 0.1])
def test_familywise_error_over_2000_null_studies_is_at_most_alpha(diverging: float) -> None:
    """Four equal arms, eight seeds of varying difficulty, heavy tails; in one case some runs diverge."""
    rng = np.random.default_rng(7)
    studies, wrong = 2000, 0
    for _ in range(studies):
        values = rng.normal(0, 2, (1, 8)) + rng.standard_t(3, (4, 8))
        values[rng.random(values.shape) < diverging] = np.nan
        comparison = compare(rows(**{name: row.tolist() for name, row in zip("abcd", values, strict=True)}))
        wrong += any(pair.verdict in ("better", "worse") for pair in comparison.pairs)
    assert wrong / studies <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


@pytest.mark.slow
@pytest.mark.usefixtures("without_intervals")
@pytest.mark.parametrize(("correction", "baseline"), [("max_t", "a"), ("max_t", None), ("holm", "a")])
@pytest.mark.parametrize("effect", [0.0, 5.0])
def test_familywise_error_with_effects_divergence_and_missing_runs_is_at_most_alpha(
    correction: str, baseline: str | None, effect: float
) -> None:
    """Eight seeds of varying difficulty, heavy tails; a and b are equal, and so are c and d, ``effect`` away."""
    rng = np.random.default_rng(8)
    studies, wrong = 500, 0
    for _ in range(studies):
        values = rng.normal(0, 2, (1, 8)) + rng.standard_t(3, (4, 8))
        values[2:] += effect
        values[rng.random(values.shape) < 0.05] = np.nan
        measurements = rows(**{name: row.tolist() for name, row in zip("abcd", values, strict=True)})
        present = [one for one in measurements if rng.random() >= 0.05]
        comparison = compare(present, groups=list("abcd"), baseline=baseline, correction=correction)
        equal = (pair for pair in comparison.pairs if not effect or {pair.group, pair.baseline} in ({*"ab"}, {*"cd"}))
        wrong += any(pair.verdict in ("better", "worse") for pair in equal)
    assert wrong / studies <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


@pytest.mark.slow
def test_more_seeds_are_needed_if_adding_them_is_another_look() -> None:
    noisy = [value + 0.05 * (-1) ** seed for seed, value in enumerate(BASE)]
    now, later = (
        only(compare(rows(a=BASE, b=noisy), min_effect=0.04, next_alpha=level)).seeds_for_power
        for level in (0.05, 0.025)
    )
    assert now is not None
    assert later is not None
    assert len(BASE) < now < later
