"""Scores of predictions in float64: those that the engine records, by the same names and definitions.

Classes: ``loss``, ``accuracy``, ``error``, ``brier``, ``ece`` (:mod:`worker.spec.calibration`), ``balanced_accuracy``,
``f1`` and ``auc`` (:mod:`worker.spec.classification`). Numbers: ``loss``, ``r2``, ``rmse``, ``mae`` and ``mape``.
Undefined scores are not a number.

Reference: Mann and Whitney, 1947, "On a test of whether one of two random variables is stochastically larger than the
other" (the area under the curve, by ranks).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.spec.calibration import BINS
from worker.spec.families.loss import Loss
from worker.spec.losses.huber import Huber

Values = NDArray[np.float64]
HIGHER_IS_BETTER = frozenset({"accuracy", "balanced_accuracy", "f1", "auc", "r2"})


def class_scores(z: NDArray[Any], y: NDArray[np.int64], weights: Values | None = None) -> Mapping[str, float]:
    """Return the scores of outputs (N, C) for labels (N,); ``weights`` (C,) are those of the classes in the loss."""
    from scipy.special import log_softmax  # noqa: PLC0415 - slow to import

    classes = z.shape[1]
    log_p = log_softmax(z.astype(np.float64), 1)
    p, best = np.exp(log_p), log_p.argmax(1)
    hits = best == y
    confidence = p.max(1)
    truth = np.eye(classes)[y]
    bins = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
    gaps = np.bincount(bins, hits - confidence, BINS)
    rows, positives = np.bincount(y, minlength=classes), np.bincount(best, minlength=classes)
    correct = np.bincount(y[hits], minlength=classes)
    with np.errstate(invalid="ignore"):
        recalls, f = correct / rows, 2 * correct / (rows + positives)
    scores = {
        "loss": np.average(-log_p[np.arange(len(y)), y], weights=None if weights is None else weights[y]),
        "accuracy": hits.mean(),
        "error": 1 - hits.mean(),
        "brier": np.square(p - truth).sum(1).mean(),
        "ece": np.abs(gaps).sum() / len(y),
        "balanced_accuracy": np.nanmean(recalls),
        "f1": np.nanmean(f),
        "auc": _auc(log_p, y),
    }
    return {name: float(value) for name, value in scores.items()}


def _auc(log_p: Values, y: NDArray[np.int64]) -> float:
    """Return the area under the curve; of several classes the mean over those that have rows and others have."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    ranked = (log_p[:, 1] - log_p[:, 0])[:, None] if log_p.shape[1] == 2 else log_p
    first = log_p.shape[1] - ranked.shape[1]
    areas = []
    for i in range(ranked.shape[1]):
        positive = y == i + first
        count, others = int(positive.sum()), int((~positive).sum())
        if count and others:
            ranks = rankdata(ranked[:, i])[positive].sum()
            areas.append((ranks - count * (count + 1) / 2) / (count * others))
    return float(np.mean(areas)) if areas else float("nan")


def number_scores(predicted: NDArray[Any], y: Values, loss: Loss, scale: float) -> Mapping[str, float]:
    """Return the scores of predicted numbers (N,) for targets (N,); the loss is of targets times ``scale``."""
    r = predicted.astype(np.float64) - y
    squares, size = np.square(r).mean(), np.abs(r)
    variance = np.square(y - y.mean()).mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = (size / np.abs(y)).mean()
    scores = {
        "loss": _row_losses(loss, r * scale).mean(),
        "r2": 1 - squares / variance if variance > 0 else np.nan,
        "rmse": np.sqrt(squares),
        "mae": size.mean(),
        "mape": relative if np.isfinite(relative) else np.nan,
    }
    return {name: float(value) for name, value in scores.items()}


def _row_losses(loss: Loss, r: Values) -> Values:
    if isinstance(loss, Huber):
        size = np.abs(r)
        losses: Values = np.where(size <= loss.delta, np.square(r) / 2, loss.delta * (size - loss.delta / 2))
        return losses
    return np.square(r)


Scores = Callable[[NDArray[Any], NDArray[Any]], Mapping[str, float]]
"""From outputs (N, C) and targets (N,) to scores by name."""


def guesses(y: NDArray[Any], classes: int, rows: int) -> NDArray[Any]:
    """Return outputs (rows, C) that ignore the inputs: log-frequencies of the training labels ``y``, or their mean."""
    if not classes:
        return np.full((rows, 1), y.mean())
    counts = np.maximum(np.bincount(y, minlength=classes), 1)
    return np.tile(np.log(counts / counts.sum()), (rows, 1))
