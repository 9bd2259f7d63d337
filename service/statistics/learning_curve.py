"""A learning curve over the number of training rows, and whether more rows would help.

The verdict is a two-sided test, at α, of the hypothesis that doubling the largest size gains exactly the minimal effect
δ under the power law of ``power_law``: more data help if the interval of the gain is above δ, the curve is saturated if
it is below. So each of these is false with a probability of about α/2, if the law holds. Otherwise the verdict is
undecided; so it is if an exponential law fits better and disagrees, and with fewer than ``MIN_SIZES`` sizes or
``MIN_REPLICATES`` replicates.

A law cannot be shown to hold where nothing was measured, but it can be refuted where something was. Nothing is
extrapolated, and the verdict is undecided, if at α/2 each, with Bonferroni's correction for the number of sizes,

- the mean rises from one size to the next, as in double descent, or
- a mean is off the fitted law: each replicate's residuals, less their part along the law's derivatives, have mean zero
  under the law.

Reference: Viering and Loog, 2023, "The shape of learning curves: a review" (shapes, and curves that rise); Mohr et al.,
2022, "LCDB 1.0: an extensive learning curves database"; Hestness et al., 2017, "Deep learning scaling is predictable,
empirically".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from service.statistics.misfit import p_of_misfit, rise_after
from service.statistics.power_law import (
    ASYMPTOTE,
    Law,
    LawKind,
    Quantity,
    SizedCosts,
    critical_t,
    fit,
    interval,
    score_statistics,
)
from service.statistics.sign_flip import Floats

Verdict = Literal["more_data_helps", "saturated", "undecided", "not_yet"]
"""``not_yet``: not all planned runs have ended, so nothing was tested."""
MIN_SIZES, MIN_REPLICATES = 4, 3
MIN_EFFECT_SHARE = 0.05
"""The minimal effect, unless one is requested: this share of the mean cost at the largest size."""
FACTORS = (2.0, 4.0)
"""Predictions are for these multiples of the largest size."""
MAX_FACTOR = 8.0
"""The law is not extrapolated beyond this multiple of the largest size."""
TARGET_POINTS = 200
CURVE_POINTS = 60
BETTER_BY = 4.0
"""An alternative law is pointed out if its χ² is lower by more than this."""
GAIN = Quantity(2.0, "gain")
Interval = tuple[float, float]


@dataclass(frozen=True)
class Prediction:
    """The mean at a multiple of the largest size, with the interval of the mean, not of a single run."""

    factor: float
    rows: int
    value: float
    ci: Interval | None


@dataclass(frozen=True, kw_only=True)
class FittedLaw:
    """A fitted law of the metric: asymptote + coefficient·n^(−exponent), or ·exp(−exponent·n)."""

    kind: LawKind
    asymptote: float
    coefficient: float
    exponent: float
    fitted: tuple[float, ...]
    """Its values at the sizes."""
    residual_ratio: float | None
    """Root mean square of the residuals, per degree of freedom, in standard errors of the means: about 1 or less if
    only the noise of replicates is left. None if no degree of freedom is left."""
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, kw_only=True)
class RowsNeeded:
    """The number of rows at which the law reaches a target, within ``MAX_FACTOR`` times the largest size."""

    target: float
    rows: int | None
    """None if it is beyond that range."""
    low: int | None
    """The fewest rows at which the target is not rejected; None if it is rejected in the whole range."""
    high: int | None
    """The most such rows; None if they lie beyond the range."""
    max_rows: int
    """The end of that range."""


@dataclass(frozen=True, kw_only=True)
class LearningCurve:
    """A learning curve's law, what it predicts, and the verdict. Values are in the unit of the metric."""

    verdict: Verdict
    reason: str
    replicates: int
    """Replicates that are measured at every size; only these count."""
    min_effect: float | None = None
    law: FittedLaw | None = None
    asymptote_ci: Interval | None = None
    gain: float | None = None
    """The improvement of the mean by doubling the largest size; positive."""
    gain_ci: Interval | None = None
    p_misfit: float | None = None
    rise: tuple[int, int] | None = None
    """The sizes between which the mean gets worse, significantly."""
    alternatives: tuple[FittedLaw, ...] = ()
    rows_needed: RowsNeeded | None = None
    curve: tuple[tuple[int, float], ...] = ()
    """Points (rows, value) of the fitted law, from the smallest size to the largest extrapolated one."""
    warnings: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class LearningCurveQuestion:
    """The level of the test, the effect that matters, and a value to reach; None for the default or no value."""

    lower_is_better: bool
    alpha: float
    min_effect: float | None = None
    target: float | None = None


def learning_curve(sizes: Sequence[int], values: Floats, question: LearningCurveQuestion) -> LearningCurve:
    """Fit and judge the curve of ``values`` (R, K) of R replicates at K increasing ``sizes``."""
    replicates = len(values)
    if (missing := _too_little(sizes, replicates)) is not None:
        return LearningCurve(verdict="undecided", reason=missing, replicates=replicates)
    costs = values if question.lower_is_better else 1 - values
    if not np.ptp(costs, axis=0).any():
        reason = "All replicates have equal values, so their noise is unknown. Vary the seed and the split."
        return LearningCurve(verdict="undecided", reason=reason, replicates=replicates)
    data = SizedCosts(np.array(sizes, dtype=float), costs)
    return _judged(data, _Unit(question.lower_is_better, sizes), question)


def _too_little(sizes: Sequence[int], replicates: int) -> str | None:
    """Return what to add; None if there are enough sizes and replicates."""
    if len(sizes) < MIN_SIZES:
        more = MIN_SIZES - len(sizes)
        return (
            f"{len(sizes)} {'size is' if len(sizes) == 1 else 'sizes are'} too few to fit a law: it takes at least "
            f"{MIN_SIZES}. Submit the study again with {more} more, each twice or half the next; it reuses these runs."
        )
    if replicates < MIN_REPLICATES:
        are = "replicate is" if replicates == 1 else "replicates are"
        return (
            f"{replicates} {are} measured at every size, and the noise between replicates takes at least "
            f"{MIN_REPLICATES}. Add {MIN_REPLICATES - replicates} or more; 8 give useful intervals."
        )
    return None


@dataclass(frozen=True)
class _Unit:
    """Conversion of costs into the metric: the cost itself, or 1 minus it."""

    lower_is_better: bool
    sizes: Sequence[int]

    def value(self, cost: float) -> float:
        return cost if self.lower_is_better else 1 - cost

    def ci(self, costs: Interval | None) -> Interval | None:
        if costs is None:
            return None
        low, high = sorted(map(self.value, costs))
        return low, high

    def rows(self, factor: float) -> int:
        return round(factor * self.sizes[-1])

    def law(self, data: SizedCosts, law: Law, predictions: Sequence[Prediction] = ()) -> FittedLaw:
        freedom = len(self.sizes) - law.parameters
        largest = float(self.sizes[-1])
        scale = largest**law.c if law.kind == "power" else math.exp(law.c)
        simple = [Prediction(q, self.rows(q), self.value(float(law.at(np.array([q]))[0])), None) for q in FACTORS]
        return FittedLaw(
            kind=law.kind,
            asymptote=self.value(law.a),
            coefficient=law.beta * scale * (1 if self.lower_is_better else -1),
            exponent=law.c / (largest if law.kind == "exponential" else 1),
            fitted=tuple(self.value(float(cost)) for cost in law.at(data.x)),
            residual_ratio=math.sqrt(law.chi2 / freedom) if freedom > 0 else None,
            predictions=tuple(predictions or simple),
        )


def _judged(data: SizedCosts, unit: _Unit, question: LearningCurveQuestion) -> LearningCurve:
    """Fit the law, try to refute it, and extrapolate it if that fails."""
    law, effect = fit(data), question.min_effect
    alternatives = [fit(data, "exponential"), fit(data, "constant")]
    rise = rise_after(data, question.alpha / 2)
    curve = LearningCurve(
        verdict="undecided",
        reason="",
        replicates=data.replicates,
        min_effect=MIN_EFFECT_SHARE * float(data.mean[-1]) if effect is None else effect,
        law=replace(unit.law(data, law), predictions=()),
        p_misfit=p_of_misfit(data, law),
        rise=None if rise is None else (unit.sizes[rise], unit.sizes[rise + 1]),
        alternatives=tuple(replace(unit.law(data, other), predictions=()) for other in alternatives),
    )
    gain_ci = interval(data, GAIN, law, question.alpha)
    refutation = _refutation(curve, question.alpha / 2)
    if gain_ci is None or refutation is not None:
        return replace(curve, reason=refutation or _misfit("the best fit lies on the bound of the law"))
    curve = _extrapolated(curve, data, unit, law, question)
    return _with_verdict(curve, unit, gain_ci, law, alternatives[0])


def _refutation(curve: LearningCurve, alpha: float) -> str | None:
    """Return why no power law describes the means; None if one may."""
    if curve.rise is not None:
        between = f"between {curve.rise[0]:,} and {curve.rise[1]:,} rows"
        reason = f"The mean gets significantly worse {between}, which no law of diminishing returns allows."
        return f"{reason} Nothing is extrapolated."
    p = curve.p_misfit
    return _misfit(f"p = {p:.2g}") if p is not None and p <= alpha else None


def _misfit(evidence: str) -> str:
    return (
        f"No power law fits the means within the noise of the replicates ({evidence}). Nothing is extrapolated. Use "
        "larger sizes, or leave out the smallest ones (min_size), at which models may not have begun to learn."
    )


def _extrapolated(
    curve: LearningCurve, data: SizedCosts, unit: _Unit, law: Law, question: LearningCurveQuestion
) -> LearningCurve:
    """Return the curve with predictions, the interval of the asymptote, and the rows that a target takes."""
    alpha = question.alpha
    predictions = [
        Prediction(q, unit.rows(q), unit.value(Quantity(q).of(law)), unit.ci(interval(data, Quantity(q), law, alpha)))
        for q in FACTORS
    ]
    return replace(
        curve,
        law=unit.law(data, law, predictions),
        alternatives=tuple(unit.law(data, fit(data, other.kind)) for other in curve.alternatives),
        asymptote_ci=unit.ci(interval(data, ASYMPTOTE, law, alpha)),
        rows_needed=None if question.target is None else _rows_needed(data, law, unit, question.target, alpha),
        curve=_curve(data, law, unit),
    )


def _with_verdict(curve: LearningCurve, unit: _Unit, gain_ci: Interval, law: Law, exponential: Law) -> LearningCurve:
    """Return the curve with its verdict; undecided if the exponential law fits better and says otherwise."""
    assert curve.min_effect is not None, "a fitted curve has a minimal effect"
    effect, gain = curve.min_effect, GAIN.of(law)
    verdict = _verdict(gain_ci, effect)
    reason, warnings = _reason(verdict, gain, gain_ci, effect, unit), list[str]()
    if law.chi2 - exponential.chi2 > BETTER_BY:
        warnings.append(_other_law(exponential, unit))
        largest, doubled = exponential.at(np.array([1.0, GAIN.factor]))
        if verdict != "undecided" and (largest - doubled > effect) != (verdict == "more_data_helps"):
            verdict, reason = "undecided", f"{reason} But another law, which fits better, disagrees. Add a larger size."
    return replace(curve, verdict=verdict, reason=reason, gain=gain, gain_ci=gain_ci, warnings=tuple(warnings))


def _verdict(gain_ci: Interval, effect: float) -> Verdict:
    if gain_ci[0] > effect:
        return "more_data_helps"
    return "saturated" if gain_ci[1] < effect else "undecided"


def _reason(verdict: Verdict, gain: float, ci: Interval, effect: float, unit: _Unit) -> str:
    step = f"Doubling the data from {unit.sizes[-1]:,} to {unit.rows(2):,} rows"
    numbers = f"{gain:.3g} (interval {ci[0]:.3g} to {ci[1]:.3g})"
    if verdict == "more_data_helps":
        return f"{step} would improve the mean by {numbers}, more than the minimal effect of {effect:.3g}."
    if verdict == "saturated":
        return f"{step} would improve the mean by {numbers}, less than the minimal effect of {effect:.3g}."
    return (
        f"{step} would improve the mean by {numbers}, which may be more or less than the minimal effect of "
        f"{effect:.3g}. Add replicates, or a larger size."
    )


def _other_law(exponential: Law, unit: _Unit) -> str:
    value = unit.value(float(exponential.at(np.array([2.0]))[0]))
    return f"An exponential law fits better than the power law; it predicts {value:.4g} at {unit.rows(2):,} rows."


def _rows_needed(data: SizedCosts, law: Law, unit: _Unit, target: float, alpha: float) -> RowsNeeded:
    """Return at how many rows the mean reaches ``target``, by testing the target at sizes up to the largest allowed."""
    cost = target if unit.lower_is_better else 1 - target
    factors = np.geomspace(float(data.x[0]), MAX_FACTOR, TARGET_POINTS)
    critical, hypothesis = critical_t(data.replicates, alpha), np.array([max(cost, 0.0)])
    t = np.array([score_statistics(data, Quantity(float(q)), hypothesis)[0] for q in factors])
    open_, reached = np.flatnonzero(np.abs(t) <= critical), np.flatnonzero(law.at(factors) <= cost)
    return RowsNeeded(
        target=target,
        rows=unit.rows(float(factors[reached[0]])) if len(reached) else None,
        low=unit.rows(float(factors[open_[0]])) if len(open_) else None,
        high=unit.rows(float(factors[open_[-1]])) if len(open_) and open_[-1] + 1 < TARGET_POINTS else None,
        max_rows=unit.rows(MAX_FACTOR),
    )


def _curve(data: SizedCosts, law: Law, unit: _Unit) -> tuple[tuple[int, float], ...]:
    factors = np.unique(np.concatenate([np.geomspace(float(data.x[0]), FACTORS[-1], CURVE_POINTS), data.x, FACTORS]))
    points = {unit.rows(float(q)): unit.value(float(cost)) for q, cost in zip(factors, law.at(factors), strict=True)}
    return tuple(points.items())
