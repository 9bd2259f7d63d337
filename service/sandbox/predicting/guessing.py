"""Scores of a run's loss, and of predictions that ignore the inputs, in float64: those that the engine records.

A run's weights of classes, and what is guessed, are those of its training rows, with the noise of their labels and
their weights (:mod:`worker.engine.baseline`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.scores import Values, class_scores, label_scores, number_scores
from worker.spec.families.classification_loss import ClassificationLoss
from worker.spec.families.loss import Loss, Regression


class Targets(NamedTuple):
    """Targets of rows: int64 labels, or float64 numbers, and how many rows each counts as."""

    y: NDArray[Any]
    weights: Values | None = None


class Scoring(NamedTuple):
    """How predictions of a run are scored."""

    loss: Loss
    classes: int
    """0 for numeric targets."""
    scale: float
    """Numeric targets are multiplied by it in the loss."""
    training: Targets | None
    """Those of the training rows; None if the dataset is not on this machine."""

    def scores(self, outputs: NDArray[Any], rows: Targets) -> dict[str, float]:
        """Return the scores of outputs (N, C), or numbers (N, 1)."""
        if isinstance(self.loss, ClassificationLoss):
            return dict(class_scores(outputs, rows.y, self.loss, rows.weights, self.class_weights))
        assert isinstance(self.loss, Regression), self.loss.kind
        return dict(number_scores(outputs[:, 0], rows.y, self.loss, self.scale, rows.weights))

    @property
    def class_weights(self) -> Values | None:
        """The weights of classes in the loss (C,); not numbers if they depend on a dataset that is missing."""
        weights = self.loss.class_weights if isinstance(self.loss, ClassificationLoss) else None
        if weights is None or weights != "balanced":
            return None if weights is None else np.array(weights)
        if self.training is None:
            return np.full(self.classes, np.nan)
        counts = self._counts(self.training)
        return np.asarray(counts.sum() / (self.classes * np.where(counts > 0, counts, 1)), np.float64)

    def _counts(self, rows: Targets) -> Values:
        """Return the rows of each class (C,); the mean weight is 1."""
        weights = None if rows.weights is None else rows.weights / rows.weights.mean()
        return np.bincount(rows.y, weights, self.classes).astype(np.float64)

    def baseline(self, rows: Targets) -> dict[str, float]:
        """Return the scores of guessing; empty if the training rows are not on this machine."""
        if self.training is None:
            return {}
        if not self.classes:
            mean = np.average(self.training.y, weights=self.training.weights)
            return self.scores(np.full((len(rows.y), 1), mean), rows)
        counts = self._counts(self.training)
        counts = np.where(counts > 0, counts, 1)
        result = self.scores(self._guesses(counts, rows), rows)
        if (weights := self.class_weights) is not None:
            result["loss"] = self.scores(self._guesses(counts * weights, rows), rows)["loss"]
        chance = counts / counts.sum()
        result["accuracy_random"] = float(np.average(chance[rows.y], weights=rows.weights))
        return result

    @staticmethod
    def _guesses(counts: Values, rows: Targets) -> Values:
        return np.tile(np.log(counts / counts.sum()), (len(rows.y), 1))

    def last_value(self, previous: NDArray[Any], rows: Targets) -> dict[str, float]:
        """Return the scores of ``previous`` (N,), the last known target before each row, in order of time."""
        if self.classes:
            scores = label_scores(previous, rows.y, self.classes, rows.weights)
        else:
            scores = self.scores(previous[:, None], rows)
        return {f"{name}_last_value": value for name, value in scores.items()}
