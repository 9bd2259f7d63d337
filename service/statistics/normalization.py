"""Scores of runs that can be pooled over datasets: an affine scale for each dataset, on which higher is better.

No scale depends on the worst arm of a study, which would let a bad arm change the order of good ones. ``best`` depends
on the best run of the study.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.statistics.sign_flip import Floats

Method = Literal["guessing", "best", "none", "range"]
"""``guessing``: from guessing (0) to the best possible value (1); ``best``: to the best run of the study; ``none``: the
value itself; ``range``: between two values of the caller's."""


@dataclass(frozen=True)
class Scale:
    """The values of a metric on a dataset that have the scores 0 and 1."""

    method: Method
    zero: float
    one: float

    def score(self, value: float) -> float:
        """Return the score of a value."""
        return (value - self.zero) / (self.one - self.zero)


def scale_of(method: Method, *, lower_is_better: bool, guessing: float | None, values: Iterable[float]) -> Scale | None:
    """Return the scale of a dataset; None if guessing is unknown there or no run is better than it.

    The best possible value is 0 for losses and errors, and 1 for accuracies and R². ``values`` are those of all runs.
    """
    if method == "none":
        return Scale(method, 0.0, 1.0)
    if guessing is None or not math.isfinite(guessing):
        return None
    best = 0.0 if lower_is_better else 1.0
    if method == "best":
        best = min(values, default=guessing) if lower_is_better else max(values, default=guessing)
    is_better = best < guessing if lower_is_better else best > guessing
    return Scale(method, guessing, best) if is_better else None


def with_divergence(scores: Floats, guessing: float) -> Floats:
    """Return ``scores`` (arms, replicates) with the score of the worst run, or of guessing if lower, where NaN.

    A run that diverged (NaN) is worse than every other: it predicts nothing.
    """
    lowest = float(np.nanmin(np.append(scores, guessing)))
    return np.where(np.isnan(scores), lowest, scores)
