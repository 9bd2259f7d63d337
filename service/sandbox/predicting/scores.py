"""Scores of predictions in float64: those that the engine records, by the same names and definitions.

Classes: ``loss``, ``accuracy``, ``error``, ``brier``, ``ece`` (:mod:`worker.spec.calibration`), ``balanced_accuracy``,
``f1`` and ``auc`` (:mod:`worker.spec.classification`). Numbers: ``loss``, ``r2``, ``rmse``, ``mae`` and ``mape``.
Undefined scores are not a number.

Reference: Mann and Whitney, 1947, "On a test of whether one of two random variables is stochastically larger than the
other" (the area under the curve, by ranks).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.spec.calibration import BINS
from worker.spec.families.classification_loss import ClassificationLoss
from worker.spec.families.loss import Regression

Values = NDArray[np.float64]
HIGHER_IS_BETTER = frozenset({"accuracy", "balanced_accuracy", "f1", "auc", "r2"})


def class_scores(
    z: NDArray[Any],
    y: NDArray[np.int64],
    loss: ClassificationLoss,
    rows: Values | None = None,
    classes: Values | None = None,
) -> Mapping[str, float]:
    """Return the scores of outputs (N, C) for labels (N,).

    ``rows`` (N,) weight the rows in every score, ``classes`` (C,) their classes in the loss.
    """
    from scipy.special import log_softmax  # noqa: PLC0415 - slow to import

    count = z.shape[1]
    weights = np.ones(len(y)) if rows is None else rows
    log_p = log_softmax(z.astype(np.float64), 1)
    p, best = np.exp(log_p), log_p.argmax(1)
    hits = best == y
    confidence = p.max(1)
    truth = np.eye(count)[y]
    bins = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
    gaps = np.bincount(bins, weights * (hits - confidence), BINS)
    scores = {
        "loss": np.average(
            loss.label_losses(log_p[np.arange(len(y)), y]), weights=weights if classes is None else weights * classes[y]
        ),
        **label_scores(best, y, count, rows),
        "brier": np.average(np.square(p - truth).sum(1), weights=weights),
        "ece": np.abs(gaps).sum() / weights.sum(),
        "auc": _auc(log_p, y, weights),
    }
    scores["error"] = 1 - scores["accuracy"]
    return {name: float(value) for name, value in scores.items()}


def label_scores(
    predicted: NDArray[np.int64], y: NDArray[np.int64], classes: int, rows: Values | None = None
) -> dict[str, float]:
    """Return the scores of predicted classes (N,) for labels (N,), with weights of the rows (N,)."""
    weights, hits = np.ones(len(y)) if rows is None else rows, predicted == y
    true, positive = np.bincount(y, weights, classes), np.bincount(predicted, weights, classes)
    correct = np.bincount(y, weights * hits, classes)
    with np.errstate(invalid="ignore"):
        recalls, f = correct / true, 2 * correct / (true + positive)
    return {
        "accuracy": float(np.average(hits, weights=weights)),
        "balanced_accuracy": float(np.nanmean(recalls)),
        "f1": float(np.nanmean(f)),
    }


def _auc(log_p: Values, y: NDArray[np.int64], weights: Values) -> float:
    """Return the area under the curve; of several classes the mean over those that have rows and others have."""
    ranked = (log_p[:, 1] - log_p[:, 0])[:, None] if log_p.shape[1] == 2 else log_p
    first = log_p.shape[1] - ranked.shape[1]
    areas = []
    for i in range(ranked.shape[1]):
        positive = y == i + first
        values, place = np.unique(ranked[:, i], return_inverse=True)
        own = np.bincount(place, weights * positive, len(values))
        others = np.bincount(place, weights * ~positive, len(values))
        if positive.any() and not positive.all():
            below = np.cumsum(others) - others / 2  # of equal values, half
            areas.append((own @ below) / (own.sum() * others.sum()))
    return float(np.mean(areas)) if areas else float("nan")


def number_scores(
    predicted: NDArray[Any], y: Values, loss: Regression, scale: float, rows: Values | None = None
) -> Mapping[str, float]:
    """Return the scores of predicted numbers (N,) for targets (N,), with weights of the rows (N,).

    The loss is of targets times ``scale``.
    """
    mean = partial(np.average, weights=rows)
    r = predicted.astype(np.float64) - y
    squares, size = mean(np.square(r)), np.abs(r)
    variance = mean(np.square(y - mean(y)))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = mean(size / np.abs(y))
    scores = {
        "loss": mean(loss.residual_losses(r * scale)),
        "r2": 1 - squares / variance if variance > 0 else np.nan,
        "rmse": np.sqrt(squares),
        "mae": mean(size),
        "mape": relative if np.isfinite(relative) else np.nan,
    }
    return {name: float(value) for name, value in scores.items()}
