"""Laws of a mean cost by the number of training rows, and intervals of what they predict.

    E y(n) = a + β·x^(−c),    x = n/N,    a ≥ 0, β ≥ 0, c > 0          N: the largest size

y is a cost: a loss, an error, or 1 minus an accuracy. a is the cost that no amount of data removes and β what is left
to gain at N rows, so that doubling them gains β·(1 − 2^(−c)). In rows, the law is a + b·n^(−c) with b = β·N^c.

The means of the sizes are fitted by weighted least squares. Given c, the law is linear in a and β, so only c is
searched (variable projection). The weights are inverse variances, smoothed over sizes by a log-linear function of n,
because those of a few replicates are noisy.

Intervals contain the hypotheses θ = θ₀ (of an asymptote, a prediction, a gain) that a robust score test does not
reject: the law is fitted under θ = θ₀, and one Gauss-Newton step from there gives each replicate an estimate of
θ − θ₀. These are independent with mean zero, whatever the correlation of sizes within a replicate, so Student's t with
one degree of freedom less than replicates applies. A bootstrap over so few replicates is too narrow, and a profile
likelihood assumes that the sizes are independent.

Reference: Hestness et al., 2017, "Deep learning scaling is predictable, empirically" (power laws with an offset);
Viering and Loog, 2023, "The shape of learning curves: a review"; Golub and Pereyra, 1973, "The differentiation of
pseudo-inverses and nonlinear least squares problems whose variables separate"; Boos, 1992, "On generalized score
tests".
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.statistics.sign_flip import Floats

LawKind = Literal["power", "exponential", "constant"]
EXPONENTS: Floats = np.geomspace(0.01, 5.0, 96)
RATES: Floats = np.geomspace(0.1, 200.0, 96)
"""Rates of exponential laws, per N rows."""
ZOOMS, ZOOM_POINTS = 6, 33
MIN_VARIANCE_SHARE = 1e-4
"""Variances below this share of the largest one count as this share, so that no size decides the fit alone."""
SINGULAR = 1e-9
TINY = float(np.finfo(float).tiny)
BOUND_DEVIATIONS = 10.0
"""Hypotheses end so many standard deviations of a run above the largest mean."""


@dataclass(frozen=True)
class Law:
    """A fitted law a + β·f(x) of the cost, with f(x) = x^(−c) or exp(−c·(x − 1)); without f if it is constant."""

    kind: LawKind
    a: float
    beta: float
    c: float
    chi2: float
    """Sum of squared residuals of the means, in units of the squared standard errors."""

    @property
    def parameters(self) -> int:
        """Number of free parameters."""
        return 1 if self.kind == "constant" else 3

    def at(self, x: Floats) -> Floats:
        """Return the cost at sizes ``x``, as multiples of the largest."""
        if self.kind == "constant":
            return np.full(len(x), self.a)
        return np.asarray(self.a + self.beta * basis(self.kind, x, np.array([self.c]))[0])


@dataclass(frozen=True)
class SizedCosts:
    """Costs (R, K) of R replicates at K increasing ``sizes``; a replicate's costs may be correlated."""

    sizes: Floats
    costs: Floats

    @property
    def replicates(self) -> int:
        """Number of replicates, R."""
        return len(self.costs)

    @functools.cached_property
    def x(self) -> Floats:
        """The sizes as shares of the largest, (K,)."""
        return np.asarray(self.sizes / self.sizes[-1])

    @functools.cached_property
    def mean(self) -> Floats:
        """The mean cost at each size, (K,)."""
        return np.asarray(self.costs.mean(axis=0))

    @functools.cached_property
    def covariance(self) -> Floats:
        """The covariance of a replicate's costs, (K, K)."""
        return np.atleast_2d(np.cov(self.costs, rowvar=False))

    @functools.cached_property
    def variances(self) -> Floats:
        """The variances (K,), smoothed over the sizes: log σ² is linear in log n."""
        own = np.diag(self.covariance)
        logs = np.log(np.maximum(own, MIN_VARIANCE_SHARE * own.max()))
        smooth = np.polynomial.Polynomial.fit(np.log(self.x), logs, 1)
        return np.asarray(np.exp(smooth(np.log(self.x))))

    @property
    def bound(self) -> float:
        """The largest cost that is a hypothesis."""
        return float(self.mean.max() + BOUND_DEVIATIONS * math.sqrt(self.variances.max()))


@dataclass(frozen=True)
class Quantity:
    """A quantity of a power law, at ``factor`` times the largest size (its asymptote at ∞)."""

    factor: float
    kind: Literal["level", "gain"] = "level"
    """The cost there, or by how much it is lower than at the largest size."""

    def of(self, law: Law) -> float:
        """Return the law's value of the quantity."""
        return self.level * law.a + law.beta * float(self.share(np.array([law.c]))[0])

    @property
    def level(self) -> bool:
        """Whether a is part of the quantity."""
        return self.kind == "level"

    def share(self, c: Floats) -> Floats:
        """Return the factor of β for the exponents ``c``."""
        power = np.zeros_like(c) if math.isinf(self.factor) else self.factor**-c
        return power if self.level else 1 - power

    def slope(self, c: Floats) -> Floats:
        """Return the derivative of ``share`` by c."""
        slope = np.zeros_like(c) if math.isinf(self.factor) else -math.log(self.factor) * self.factor**-c
        return slope if self.level else -slope


ASYMPTOTE = Quantity(math.inf)


def fit(data: SizedCosts, kind: LawKind = "power") -> Law:
    """Return the law with the least weighted squares."""
    weights = data.replicates / data.variances
    if kind == "constant":
        a = max(0.0, float(np.average(data.mean, weights=weights)))
        return Law(kind, a, 0.0, 0.0, float((weights * (data.mean - a) ** 2).sum()))
    grid = EXPONENTS if kind == "power" else RATES
    for _ in range(ZOOMS):
        offsets, factors, chi2 = fit_linear(data.mean, weights, basis(kind, data.x, grid))
        best = int(chi2.argmin())
        law = Law(kind, float(offsets[best]), float(factors[best]), float(grid[best]), float(chi2[best]))
        grid = np.geomspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], ZOOM_POINTS)
    return law


def basis(kind: LawKind, x: Floats, c: Floats) -> Floats:
    """Return f(x) for each exponent or rate, (…, K)."""
    exponents: Floats = -c[..., None] * (np.log(x) if kind == "power" else x - 1)
    return np.exp(exponents)


def fit_linear(mean: Floats, weights: Floats, f: Floats) -> tuple[Floats, Floats, Floats]:
    """Return a ≥ 0, β ≥ 0 and the least squares of ``mean`` ≈ a + β·f, for each f of (…, C, K); means may be (B, 1, K).

    The least squares under both bounds are those within them, or the least on one of the bounds.
    """
    total = weights.sum()
    f_mean, y_mean = (weights * f).sum(-1) / total, (weights * mean).sum(-1) / total
    centered = f - f_mean[..., None]
    beta = (weights * centered * mean).sum(-1) / (weights * centered**2).sum(-1)
    on_axis = np.maximum((weights * f * mean).sum(-1) / (weights * f**2).sum(-1), 0)
    a = np.array([y_mean - beta * f_mean, 0 * beta, 0 * beta + np.maximum(y_mean, 0)])
    beta = np.array([beta, on_axis, 0 * beta])
    chi2 = (weights * (mean - a[..., None] - beta[..., None] * f) ** 2).sum(-1)
    chi2[(a < 0) | (beta < 0)] = np.inf
    best = chi2.argmin(0)[None]
    a, beta, chi2 = (np.take_along_axis(values, best, 0)[0] for values in (a, beta, chi2))
    return a, beta, chi2


def score_statistics(data: SizedCosts, quantity: Quantity, hypotheses: Floats) -> Floats:
    """Return Student's t (T,) of the hypotheses that ``quantity`` has these values (T,); positive below the truth."""
    rows, c = np.arange(len(hypotheses)), EXPONENTS[None]
    for last in (False, False, True):
        a, beta, chi2 = fit_under(data, quantity, hypotheses[:, None], c)
        c = np.broadcast_to(c, chi2.shape)
        best = chi2.argmin(-1)
        if last:
            break
        ends = (c[rows, np.maximum(best - 1, 0)], c[rows, np.minimum(best + 1, c.shape[1] - 1)])
        c = np.geomspace(*ends, ZOOM_POINTS, axis=-1)
    return _one_step(data, quantity, a[rows, best], beta[rows, best], c[rows, best])


def fit_under(data: SizedCosts, quantity: Quantity, hypotheses: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
    """Return a ≥ 0, β ≥ 0 and the least squares of laws of exponents ``c`` (T or 1, C) under hypotheses (T, 1)."""
    weights, share, f = 1 / data.variances, quantity.share(c), basis("power", data.x, c)
    if quantity.level:  # a = θ − share·β
        rest, contrast = data.mean - hypotheses[..., None], f - share[..., None]
        beta = (weights * contrast * rest).sum(-1) / (weights * contrast**2).sum(-1)
        beta = np.clip(beta, 0, np.where(share > 0, hypotheses / np.maximum(share, TINY), np.inf))
        a = hypotheses - share * beta
    else:
        beta = hypotheses / share
        a = np.maximum((weights * (data.mean - beta[..., None] * f)).sum(-1) / weights.sum(), 0)
    return a, beta, (weights * (data.mean - a[..., None] - beta[..., None] * f) ** 2).sum(-1)


def _one_step(data: SizedCosts, quantity: Quantity, a: Floats, beta: Floats, c: Floats) -> Floats:
    """Return the mean over replicates of the one-step estimate of θ − θ₀ from (a, β, c), over its standard error.

    Parameters at a bound stay free: the step then does not depend on their error either.
    """
    f, derivatives = _derivatives(data, beta, c)
    gradient = np.stack([np.full_like(c, quantity.level), quantity.share(c), beta * quantity.slope(c)], axis=-1)
    scale = 1 / np.sqrt(data.variances)
    inverse = np.linalg.pinv(scale[:, None] * derivatives, rcond=SINGULAR)
    contrast = scale * (inverse * gradient[..., None]).sum(1)
    step = (contrast * (data.mean - a[:, None] - beta[:, None] * f)).sum(-1)
    variance = np.einsum("tk,kl,tl->t", contrast, data.covariance, contrast) / data.replicates
    return np.asarray(step / np.sqrt(np.maximum(variance, TINY)))


def derivatives_at(data: SizedCosts, law: Law) -> Floats:
    """Return the derivatives (K, 3) of a power law at the sizes by a, β and c."""
    return np.asarray(_derivatives(data, np.array([law.beta]), np.array([law.c]))[1][0])


def _derivatives(data: SizedCosts, beta: Floats, c: Floats) -> tuple[Floats, Floats]:
    """Return x^(−c) (T, K) and the law's derivatives by a, β and c (T, K, 3)."""
    f = basis("power", data.x, c)
    return f, np.stack([np.ones_like(f), f, -beta[:, None] * np.log(data.x) * f], axis=-1)


def interval(data: SizedCosts, quantity: Quantity, law: Law, alpha: float) -> tuple[float, float] | None:
    """Return the limits of the ``quantity`` that the test does not reject; None if it rejects the law's."""
    estimate, critical = quantity.of(law), critical_t(data.replicates, alpha)
    if abs(score_statistics(data, quantity, np.array([estimate]))[0]) > critical:
        return None
    low, high = (_limit(data, quantity, estimate, end, critical) for end in (0.0, data.bound))
    return low, high


def _limit(data: SizedCosts, quantity: Quantity, inside: float, end: float, critical: float) -> float:
    """Return the limit of the interval in the direction of ``end``; ``end`` if that is not rejected.

    Hypotheses beyond the first rejected one may again not be rejected. The interval of a gain, which decides, includes
    them. That of a level ends before them: far above the means, where no law leads, the test has no power.
    """
    hypotheses = inside + (end - inside) * 2.0 ** np.arange(-20.0, 1.0)
    for _ in range(3):
        accepted = np.abs(score_statistics(data, quantity, hypotheses)) <= critical
        if quantity.level:
            accepted = np.logical_and.accumulate(accepted)
        count = int(np.flatnonzero(accepted)[-1]) + 1 if accepted.any() else 0
        if count == len(hypotheses):
            return end
        inside, outside = (float(hypotheses[count - 1]) if count else inside), float(hypotheses[count])
        hypotheses = np.linspace(inside, outside, ZOOM_POINTS)[1:]
    return outside


def critical_t(replicates: int, alpha: float) -> float:
    """Return the two-sided critical value of Student's t over this number of replicates."""
    from scipy import special  # noqa: PLC0415 - slow to import; the server starts without it

    return float(special.stdtrit(replicates - 1, 1 - alpha / 2))
