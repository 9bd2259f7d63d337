"""Learning curves: the fit against SciPy's, errors of intervals and verdicts by simulation, and refuted laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from service.statistics.learning_curve import LearningCurve, LearningCurveQuestion, learning_curve
from service.statistics.power_law import (
    ASYMPTOTE,
    Law,
    Quantity,
    SizedCosts,
    critical_t,
    fit,
    interval,
    score_statistics,
)
from service.statistics.sign_flip import Floats

SIZES = 50 * 2 ** np.arange(5)
GAIN = Quantity(2.0, "gain")
SIMULATIONS = 200
ERROR = 3 * math.sqrt(0.05 * 0.95 / SIMULATIONS)
"""Three standard errors of a simulated rate of 0.05."""


def law(a: float, beta: float, c: float) -> Law:
    return Law("power", a, beta, c, 0.0)


def simulated(truth: Law, replicates: int, rng: np.random.Generator, noise: float = 0.02) -> SizedCosts:
    """Return costs with more noise at small sizes, correlated within a replicate."""
    shared, own = rng.standard_normal((replicates, 1)), rng.standard_normal((replicates, len(SIZES)))
    x = SIZES / SIZES[-1]
    costs = truth.at(x) + noise * x**-0.3 * (0.8 * shared + 0.6 * own)
    return SizedCosts(SIZES.astype(float), costs)


def judged(values: Floats, **changed: Any) -> LearningCurve:
    return learning_curve(
        SIZES.tolist(), values, LearningCurveQuestion(**{"lower_is_better": True, "alpha": 0.05} | changed)
    )


@pytest.mark.parametrize(("a", "b", "c"), [(0.2, 4.0, 0.5), (0.0, 2.0, 0.15), (0.1, 300.0, 1.6)])
def test_clean_data_give_the_parameters_that_scipy_finds(a: float, b: float, c: float) -> None:
    def power(n: Floats, a: float, b: float, c: float) -> Floats:
        return a + b * n**-c

    clean = power(SIZES.astype(float), a, b, c)
    theirs, _ = optimize.curve_fit(power, SIZES.astype(float), clean, p0=(a + 0.01, b * 1.1, c * 1.1), ftol=1e-14)
    shifts = 1e-6 * np.array([[-1.0], [0.0], [1.0]])
    ours = judged(clean + shifts).law
    assert ours is not None
    assert (ours.asymptote, ours.coefficient, ours.exponent) == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    assert (ours.asymptote, ours.coefficient, ours.exponent) == pytest.approx((a, b, c), rel=1e-4, abs=1e-5)


def test_gains_beyond_a_gap_of_the_test_are_not_ruled_out() -> None:
    """Gains near 0.00001 are rejected here, and those from 0.001 to 0.055 are not."""
    costs = np.array(
        [[0.3022, 0.2110, 0.2374, 0.2036], [0.2480, 0.2206, 0.2477, 0.2204], [0.3261, 0.2198, 0.2080, 0.2227]]
    )
    question = LearningCurveQuestion(lower_is_better=True, alpha=0.05, min_effect=0.01)
    curve = learning_curve([50, 100, 200, 400], costs, question)
    data = SizedCosts(np.array([50.0, 100.0, 200.0, 400.0]), costs)
    assert abs(score_statistics(data, GAIN, np.array([0.01]))[0]) < critical_t(3, 0.05)
    assert curve.verdict == "undecided"
    assert curve.gain_ci is not None
    assert curve.gain_ci == pytest.approx((0, 0.0553), abs=0.0002)


@pytest.mark.parametrize("kind", ["power", "exponential"])
def test_fit_of_noisy_means_is_the_least_weighted_squares_within_bounds(kind: Any) -> None:
    rng = np.random.default_rng(0)
    for truth in (law(0.2, 0.1, 0.5), law(0.0, 0.3, 0.3), law(0.3, 0.0, 1.0)):
        data = simulated(truth, 6, rng)
        errors = np.sqrt(data.variances / data.replicates)

        def residuals(p: Floats, data: SizedCosts = data, errors: Floats = errors) -> Floats:
            f = data.x ** -p[2] if kind == "power" else np.exp(-p[2] * (data.x - 1))
            return np.asarray((data.mean - p[0] - p[1] * f) / errors)

        bounds = ([0, 0, 0.01], [np.inf, np.inf, 5.0]) if kind == "power" else ([0, 0, 0.1], [np.inf, np.inf, 200.0])
        starts = [(0.1, 0.1, c) for c in (0.2, 1.0, 4.0)]
        best = min(2 * optimize.least_squares(residuals, s, bounds=bounds, xtol=1e-12).cost for s in starts)
        assert fit(data, kind).chi2 <= best * (1 + 1e-6)


@pytest.mark.parametrize("replicates", [4, 8])
@pytest.mark.parametrize("truth", [law(0.2, 0.1, 0.5), law(0.0, 0.3, 0.3), law(0.3, 0.0, 1.0)])
def test_intervals_cover_as_often_as_they_claim(truth: Law, replicates: int) -> None:
    rng, critical = np.random.default_rng(1), critical_t(replicates, 0.05)
    quantities = [GAIN, Quantity(4.0), ASYMPTOTE]
    missed = np.zeros(len(quantities))
    for _ in range(SIMULATIONS):
        data = simulated(truth, replicates, rng)
        t = [score_statistics(data, one, np.array([one.of(truth)]))[0] for one in quantities]
        missed += np.abs(t) > critical
    assert (np.abs(missed / SIMULATIONS - 0.05) <= ERROR).all()


def test_intervals_end_where_the_test_begins_to_reject() -> None:
    data = simulated(law(0.2, 0.1, 0.5), 8, np.random.default_rng(2))
    for quantity in (GAIN, Quantity(2.0)):
        ends = interval(data, quantity, fit(data), 0.05)
        assert ends is not None
        assert ends[0] < quantity.of(fit(data)) < ends[1]
        assert np.abs(score_statistics(data, quantity, np.array(ends))) == pytest.approx(critical_t(8, 0.05), rel=0.01)


@pytest.mark.slow
def test_each_verdict_is_false_at_most_as_often_as_claimed() -> None:
    """The gain equals the minimal effect, which neither verdict allows; each may err with probability α/2."""
    rng, truth = np.random.default_rng(3), law(0.3, 0.02, 0.5)
    effect, critical = GAIN.of(truth), critical_t(8, 0.05)
    samples = [simulated(truth, 8, rng, noise=0.005) for _ in range(2 * SIMULATIONS)]
    t = np.array([score_statistics(data, GAIN, np.array([effect]))[0] for data in samples])
    error = 3 * math.sqrt(0.025 * 0.975 / len(t))
    helpful, saturated = t > critical, t < -critical
    assert max(helpful.mean(), saturated.mean()) <= 0.025 + error
    for index in (*np.flatnonzero(helpful)[:2], *np.flatnonzero(saturated)[:2], 0):
        result = judged(samples[index].costs, min_effect=effect)
        expected = "more_data_helps" if helpful[index] else "saturated" if saturated[index] else "undecided"
        assert result.verdict == (expected if (result.p_misfit or 0) > 0.025 else "undecided")
    assert judged(samples[0].costs, min_effect=effect / 10).verdict == "more_data_helps"
    assert judged(samples[0].costs, min_effect=effect * 3).verdict == "saturated"


def test_accuracies_give_the_mirrored_curve_of_errors() -> None:
    costs = simulated(law(0.2, 0.1, 0.5), 6, np.random.default_rng(4)).costs
    error, accuracy = judged(costs, target=0.25), judged(1 - costs, lower_is_better=False, target=0.75)
    assert accuracy.verdict == error.verdict
    assert accuracy.gain_ci == pytest.approx(error.gain_ci)
    assert error.law is not None
    assert accuracy.law is not None
    assert accuracy.law.coefficient == pytest.approx(-error.law.coefficient)
    for ours, mirrored in zip(accuracy.law.predictions, error.law.predictions, strict=True):
        assert ours.ci == pytest.approx((1 - mirrored.ci[1], 1 - mirrored.ci[0]))  # type: ignore[index]
    assert error.rows_needed is not None
    assert accuracy.rows_needed is not None
    assert (accuracy.rows_needed.rows, accuracy.rows_needed.low) == (error.rows_needed.rows, error.rows_needed.low)


def test_target_is_reached_inside_the_range_or_said_to_lie_beyond() -> None:
    truth = law(0.2, 0.1, 0.5)
    costs = simulated(truth, 8, np.random.default_rng(5), noise=0.001).costs
    inside = judged(costs, target=float(truth.at(np.array([3.0]))[0])).rows_needed
    assert inside is not None
    assert inside.low is not None and inside.high is not None  # noqa: PT018 - mypy
    assert inside.low <= 2400 <= inside.high
    assert inside.rows == pytest.approx(2400, rel=0.1)
    beyond = judged(costs, target=0.1).rows_needed
    assert beyond is not None
    assert (beyond.rows, beyond.low, beyond.high, beyond.max_rows) == (None, None, None, 6400)


def test_curves_that_no_power_law_describes_are_not_extrapolated() -> None:
    noise = simulated(law(0.0, 0.0, 1.0), 8, np.random.default_rng(6), noise=0.01).costs
    double_descent = judged(noise + np.array([1.0, 0.6, 0.4, 0.6, 0.3]))
    assert (double_descent.verdict, double_descent.rise) == ("undecided", (200, 400))
    late_learner = judged(noise + np.array([2.3, 2.25, 2.1, 1.6, 0.8]))
    assert late_learner.verdict == "undecided"
    assert late_learner.p_misfit is not None
    assert late_learner.p_misfit < 0.01
    for refuted in (double_descent, late_learner):
        assert refuted.law is not None
        assert (refuted.law.predictions, refuted.gain, refuted.curve) == ((), None, ())
        assert "Nothing is extrapolated" in refuted.reason


def test_better_fitting_law_that_disagrees_leaves_the_verdict_undecided() -> None:
    noise = simulated(law(0.0, 0.0, 1.0), 8, np.random.default_rng(5), noise=0.012).costs
    curve = judged(noise + 0.2 + 0.3 * np.exp(-8 * SIZES / SIZES[-1]))
    assert curve.gain_ci is not None
    assert curve.min_effect is not None
    assert (curve.gain_ci[0] > curve.min_effect, curve.verdict) == (True, "undecided")
    assert "another law, which fits better, disagrees" in curve.reason
    assert "exponential" in curve.warnings[0]


def test_replicates_without_noise_decide_nothing() -> None:
    assert "equal values" in judged(np.tile([0.5, 0.4, 0.3, 0.25, 0.2], (4, 1))).reason
