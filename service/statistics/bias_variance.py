"""Bias and variance: parts of the expected loss of models that differ in what is random about their training.

Of R models with predictions p_r of a row with the target y, and means over r:

    squared error, Brier score    mean ‖p_r − y‖² = bias + variance
                                  variance = Σ ‖p_r − p̄‖² / (R − 1), bias = ‖p̄ − y‖² − variance / R
    cross-entropy                 mean −log p_r(y) = −log q(y) + mean KL(q ‖ p_r),  q ∝ exp(mean log p_r)
    zero-one                      mean [p_r ≠ y] = bias + net variance,  bias = [m ≠ y], m the most frequent class;
                                  the net variance is mean [p_r ≠ m] if m = y, else −mean [p_r = y]

The squared bias ‖p̄ − y‖² of R models contains variance / R, which is subtracted, so both parts are unbiased for
independent models; an estimate may be below zero. The parts of the other losses are those of the R models: with few of
them, the variance is too small and the bias too large. Noise of the targets is part of the bias.

Standard errors are the jackknife's, over models. Of squared errors, the mean of the jackknife's pseudo-values is the
estimate itself.

References: Geman, Bienenstock and Doursat, 1992, "Neural networks and the bias/variance dilemma"; Heskes, 1998,
"Bias/variance decompositions for likelihood-based estimators"; Domingos, 2000, "A unified bias-variance decomposition";
Efron and Stein, 1981, "The jackknife estimate of variance".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK_NUMBERS = 2**20
"""Outputs of all models that are decomposed together."""
MIN_RUNS = 2
CORRECTED = frozenset({"brier", "squared_error"})
"""Losses whose parts are unbiased."""


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """A mean loss over models and rows, and its parts: loss = bias + net_variance."""

    loss: float
    bias: float
    variance: float
    net_variance: float
    """The change of the loss by the variance. Of zero-one loss it may lower it; of other losses it is the variance."""
    bias_error: float | None
    """Standard error over models; None for two models, and of zero-one loss."""
    variance_error: float | None
    bias_values: tuple[float, ...] = ()
    """Pseudo-values of the jackknife, by model."""
    variance_values: tuple[float, ...] = ()


class _Terms(NamedTuple):
    """The parts of each row's loss, (B,), and those without each of the models, (R, B)."""

    loss: Floats
    bias: Floats
    variance: Floats
    net_variance: Floats
    without: tuple[Floats, Floats] | None


def decompose(
    outputs: Sequence[NDArray[Any]] | NDArray[Any], targets: Floats, weights: Floats, *, classes: int
) -> dict[str, Decomposition]:
    """Return the parts of every loss, by its name.

    ``outputs`` are those of each model, (N, C) logits of ``classes``, or (N, 1) numbers if ``classes`` is 0.
    ``weights`` (N,) are how many rows each row counts as.
    """
    sums: dict[str, list[Any]] = {}
    for rows in _blocks(len(targets), len(outputs) * outputs[0].shape[1]):
        values = np.stack([one[rows] for one in outputs]).astype(np.float64)
        terms = _of_classes(values, targets[rows].astype(np.int64)) if classes else _of_numbers(values, targets[rows])
        for name, one in terms.items():
            parts = [one.loss, one.bias, one.variance, one.net_variance, *(one.without or ())]
            added = [part @ weights[rows] for part in parts]
            earlier = sums.get(name, [0.0] * len(added))
            sums[name] = [total + more for total, more in zip(earlier, added, strict=True)]
    return {name: _summarized(len(outputs), [one / weights.sum() for one in total]) for name, total in sums.items()}


def _blocks(rows: int, numbers: int) -> Iterator[slice]:
    """Yield the rows of each block, given the numbers of a row."""
    size = max(1, BLOCK_NUMBERS // numbers)
    for first in range(0, rows, size):
        yield slice(first, first + size)


def _summarized(runs: int, means: Sequence[Any]) -> Decomposition:
    loss, bias, variance, net_variance = map(float, means[:4])
    biases, variances = [
        _pseudo_values(runs, whole, without) for whole, without in zip((bias, variance), means[4:], strict=False)
    ] or [(), ()]
    return Decomposition(
        loss=loss,
        bias=bias,
        variance=variance,
        net_variance=net_variance,
        bias_error=_standard_error(biases),
        variance_error=_standard_error(variances),
        bias_values=biases,
        variance_values=variances,
    )


def _pseudo_values(runs: int, whole: float, without: Floats) -> tuple[float, ...]:
    return tuple((runs * whole - (runs - 1) * without).tolist())


def _standard_error(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if values else None


def _of_classes(logits: Floats, y: NDArray[np.int64]) -> Mapping[str, _Terms]:
    """Return the parts of the losses of classes, given logits (R, B, C) and labels (B,)."""
    log_p = logits - _log_sum_exp(logits)[..., None]
    classes = logits.shape[2]
    return {
        "cross_entropy": _cross_entropy(log_p, y),
        "zero_one": _zero_one(logits.argmax(2), y, classes),
        "brier": _squared(np.exp(log_p), np.eye(classes)[y]),
    }


def _of_numbers(numbers: Floats, y: Floats) -> Mapping[str, _Terms]:
    """Return the parts of the squared error of numbers (R, B, 1) for targets (B,)."""
    return {"squared_error": _squared(numbers, y[:, None])}


def _squared(p: Floats, y: Floats) -> _Terms:
    """Return the parts of the squared distance of predictions (R, B, C) to targets (B, C)."""
    runs, mean = len(p), p.mean(0)
    apart, error = p - mean, mean - y
    squares = np.square(apart).sum(2)
    variance = squares.sum(0) / (runs - 1)
    bias = np.square(error).sum(1) - variance / runs
    without = None
    if runs > MIN_RUNS:
        variances = (squares.sum(0) - squares * (runs / (runs - 1))) / (runs - 2)
        biases = np.square(error - apart / (runs - 1)).sum(2) - variances / (runs - 1)
        without = biases, variances
    return _Terms(np.square(p - y).sum(2).mean(0), bias, variance, variance, without)


def _cross_entropy(log_p: Floats, y: NDArray[np.int64]) -> _Terms:
    """Return the parts of the cross-entropy of logarithms of probabilities (R, B, C) for labels (B,)."""
    runs, rows, mean = len(log_p), np.arange(len(y)), log_p.mean(0)
    own, variance = mean[rows, y], _mean_divergence(mean)
    without = None
    if runs > MIN_RUNS:
        others = mean + (mean - log_p) / (runs - 1)
        variances = _mean_divergence(others)
        without = -others[:, rows, y] - variances, variances
    return _Terms(-own, -own - variance, variance, variance, without)


def _mean_divergence(mean: Floats) -> Floats:
    """Return the mean divergence of the normalized geometric mean to predictions, given their mean logarithms.

    With log q = mean − log Z, the mean of Σ q·(log q − log p_r) is −log Z.
    """
    return np.maximum(0.0 - _log_sum_exp(mean), 0.0)


def _zero_one(predicted: NDArray[np.int64], y: NDArray[np.int64], classes: int) -> _Terms:
    """Return the parts of the zero-one loss of predicted classes (R, B) for labels (B,).

    Of equally frequent classes the first is the main prediction.
    """
    rows = np.arange(len(y))
    shares = (predicted[..., None] == np.arange(classes)).mean(0)
    main = shares.argmax(1)
    variance, correct = 1 - shares[rows, main], shares[rows, y]
    net = np.where(main == y, variance, 0.0 - correct)
    return _Terms(1 - correct, (main != y).astype(np.float64), variance, net, None)


def _log_sum_exp(x: Floats) -> Floats:
    """Return log Σ exp over the last axis."""
    largest = x.max(-1)
    total: Floats = largest + np.log(np.exp(x - largest[..., None]).sum(-1))
    return total
