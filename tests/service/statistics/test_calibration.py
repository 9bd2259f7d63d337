"""Reliability against brute force, simulated calibrated and overconfident rows, and Murphy's identity."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from service.statistics.calibration import reliability

RNG = np.random.default_rng(7)


def test_values_match_brute_force_and_the_decomposition_adds_up() -> None:
    p = RNG.dirichlet([0.4] * 5, size=400)
    confidence, hit = p.max(1), RNG.random(400) < 0.6
    for bins in (1, 4, 15):
        result = reliability(confidence, hit, bins)
        places = [next(k for k in range(bins) if c <= (k + 1) / bins) for c in confidence]
        gaps = []
        for k, one in enumerate(result.bins):
            inside = [i for i in range(400) if places[i] == k]
            assert (one.low, one.high, one.count) == (k / bins, (k + 1) / bins, len(inside))
            if not inside:
                assert (one.confidence, one.accuracy, one.ci) == (None, None, None)
                continue
            mean, share = sum(confidence[inside]) / len(inside), sum(hit[inside]) / len(inside)
            assert (one.confidence, one.accuracy) == pytest.approx((mean, share))
            z, n = stats.norm.ppf(0.975), len(inside)
            middle, half = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
            assert one.ci == pytest.approx([(middle + side) / (1 + z * z / n) for side in (-half, half)])
            gaps.append((n, abs(mean - share)))
        assert result.ece == pytest.approx(sum(n * gap for n, gap in gaps) / 400)
        assert result.mce == pytest.approx(max(gap for _, gap in gaps))
        terms = result.top_label
        assert terms.brier == pytest.approx(sum((c - h) ** 2 for c, h in zip(confidence, hit, strict=True)) / 400)
        assert terms.brier == pytest.approx(
            terms.reliability - terms.resolution + terms.uncertainty + terms.within_bins, abs=1e-14
        )
        assert terms.reliability == pytest.approx(sum(n * gap**2 for n, gap in gaps) / 400)
    assert (result.accuracy, result.confidence) == pytest.approx((hit.mean(), confidence.mean()))


def test_equal_confidences_within_bins_leave_murphys_three_terms() -> None:
    confidence = RNG.choice([0.35, 0.55, 0.95], size=300)
    terms = reliability(confidence, RNG.random(300) < 0.5, 10).top_label
    assert terms.within_bins == pytest.approx(0, abs=1e-15)


def test_calibrated_rows_have_an_ece_of_its_sampling_error() -> None:
    confidence = RNG.uniform(0.1, 1, 20_000)
    result = reliability(confidence, RNG.random(20_000) < confidence, 15)
    # E|N(0, σ)| = σ·√(2/π) in each bin; the standard deviation of the sum over 14 bins is below a quarter of its mean.
    sigmas = np.sqrt(np.bincount((confidence * 15).astype(int), confidence * (1 - confidence)))
    expected = np.sqrt(2 / np.pi) * sigmas.sum() / 20_000
    assert result.ece_if_calibrated == pytest.approx(expected, rel=0.05)
    assert result.ece < 2 * expected
    assert result.p_calibrated > 0.01


def test_p_of_calibrated_rows_is_uniform_and_overconfident_rows_have_their_gap() -> None:
    ps = []
    for _ in range(200):
        confidence = RNG.uniform(0.3, 1, 150)
        ps.append(reliability(confidence, RNG.random(150) < confidence, 10).p_calibrated)
    assert stats.kstest(ps, "uniform").pvalue > 0.001
    confidence = np.tile(np.linspace(0.62, 0.98, 10), 1000)
    hit = RNG.random(10_000) < confidence - 0.2
    result = reliability(confidence, hit, 15)
    assert result.ece == pytest.approx(confidence.mean() - hit.mean(), abs=1e-12), "every bin is overconfident"
    assert result.ece == pytest.approx(0.2, abs=4 * 0.005)  # four standard errors of the accuracy
    assert result.p_calibrated == 1 / 200


def test_ties_with_simulated_models_count_toward_p() -> None:
    for n, confidence in ((2, 0.9), (6, 0.7), (10, 0.83)):
        all_hits = reliability(np.full(n, confidence), np.ones(n, dtype=bool), 15)
        sums = np.arange(n + 1)
        beyond = np.abs(sums / n - confidence) >= 1 - confidence - 1e-12
        exact = stats.binom.pmf(sums, n, confidence)[beyond].sum()
        assert all_hits.p_calibrated == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 199) + 1 / 200)


def test_extreme_confidences_are_in_the_outer_bins() -> None:
    result = reliability(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]), 2)
    assert [one.count for one in result.bins] == [2, 1]
