"""Statistics of runs over several splits of one data set: shares of variance, and a test that knows splits overlap.

Reference: Nadeau and Bengio, 2003, "Inference for the generalization error"; Bouthillier et al., 2021, "Accounting for
variance in machine learning benchmarks"; Searle, Casella and McCulloch, 1992, "Variance components", section 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service.statistics.sign_flip import Floats


@dataclass(frozen=True)
class VarianceComponents:
    """Variances of a single run's value that come from the split, from the seed, and from neither alone."""

    split: float
    seed: float
    residual: float
    p: float | None = None
    """Two-sided, of the F test that split and seed contribute the same; None unless there are as many of both."""

    @property
    def by_source(self) -> Mapping[str, float]:
        """The variances by their source in words."""
        return {"split": self.split, "seed": self.seed, "neither alone": self.residual}

    @property
    def total(self) -> float:
        """The variance of a single run's value."""
        return self.split + self.seed + self.residual


def variance_components(values: Floats) -> VarianceComponents | None:
    """Return the variance components of a crossed design, ``values`` (splits, seeds), by the method of moments.

    The model is two-way with random effects, y = μ + split + seed + residual: mean squares are equated to their
    expectations, and negative estimates become 0. Returns None with fewer than two splits or seeds.

    With n splits and n seeds, the mean squares of both have the expectations residual + n·split and residual + n·seed,
    and under normality their quotient has the distribution F(n − 1, n − 1) if split and seed contribute the same.
    """
    splits, seeds = values.shape
    if min(splits, seeds) < 2:
        return None
    of_split, of_seed = values.mean(axis=1), values.mean(axis=0)
    rest = values - of_split[:, None] - of_seed + values.mean()
    residual = float((rest**2).sum()) / ((splits - 1) * (seeds - 1))
    return VarianceComponents(
        split=max(0.0, float(of_split.var(ddof=1)) - residual / seeds),
        seed=max(0.0, float(of_seed.var(ddof=1)) - residual / splits),
        residual=residual,
        p=_equal_variances_p(float(of_split.var(ddof=1)), float(of_seed.var(ddof=1)), splits, seeds),
    )


def _equal_variances_p(of_split: float, of_seed: float, splits: int, seeds: int) -> float | None:
    """Return the two-sided p of the F test of two variances of means."""
    from scipy import special  # noqa: PLC0415 - slow to import; the server starts without it

    if splits != seeds or of_seed == of_split == 0:
        return None
    if 0 in (of_split, of_seed):
        return 0.0
    small, large = sorted((of_split, of_seed))
    return min(1.0, 2 * float(special.fdtrc(splits - 1, splits - 1, large / small)))


def nadeau_bengio_p(differences: Floats, ratio: float) -> float | None:
    """Return the two-sided p of the corrected resampled t test; None if the differences do not vary.

    ``ratio`` is the number of judging rows over that of training rows. Splits of one data set share rows, so their
    differences are correlated; the correction takes ratio / (1 + ratio) for the correlation, and the variance of the
    mean of J differences becomes (1/J + ratio)·s² instead of s²/J.
    """
    from scipy import special  # noqa: PLC0415 - slow to import; the server starts without it

    count = len(differences)
    deviation = float(differences.std(ddof=1)) if count > 1 else 0.0
    if deviation == 0:
        return None
    t = float(np.mean(differences)) / (deviation * math.sqrt(1 / count + ratio))
    return float(2 * special.stdtr(count - 1, -abs(t)))
