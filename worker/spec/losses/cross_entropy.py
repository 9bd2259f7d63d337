"""Cross-entropy: how surprising the true class is to the model.

    ℓ = −log p_y,    p = softmax(z)        so       ∂ℓ/∂z = p − t        (t is one at the label)

Its scores are ``accuracy`` and ``error``, the shares of rows whose most probable class is theirs, or is not, and in
evaluation mode ``brier`` and ``ece``, which measure the probabilities (:mod:`worker.spec.calibration`), and
``balanced_accuracy``, ``f1`` and ``auc`` (:mod:`worker.spec.classification`).

Reference: Cox, 1958, "The regression analysis of binary sequences"; Bridle, 1990, "Probabilistic interpretation of
feedforward classification network outputs" (softmax).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec import calibration, classification
from worker.spec.families.dataset import Task
from worker.spec.families.loss import Loss, RowTargets
from worker.spec.part import Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor


class CrossEntropy(Loss):
    """The negative logarithm of the probability that the model gives the true class.

    Runs also record `accuracy` and `error`, and in evaluation mode `brier` and `ece`: the Brier score, from 0 to 2,
    and the expected calibration error over 15 bins, which is biased upwards on few rows. They also record
    `balanced_accuracy` (mean recall of the classes), `f1` (mean F1 of the classes) and `auc` (area under the ROC
    curve; for several classes the mean of each against the rest).
    """

    equation: ClassVar[str] = "ℓ = −log p_y,  p = softmax(z)"
    reference: ClassVar[str] = "Cox 1958, The regression analysis of binary sequences"
    task: ClassVar[Task] = "classification"
    metric_names: ClassVar[tuple[str, ...]] = ("accuracy", "error")
    evaluation_names: ClassVar[tuple[str, ...]] = (*calibration.NAMES, *classification.NAMES)

    kind: Literal["cross_entropy"] = "cross_entropy"

    @staticmethod
    def predict(part: Stacked[CrossEntropy], z: Tensor) -> Tensor:
        """Log-probabilities."""
        import torch

        return torch.log_softmax(z, 2)

    @staticmethod
    def encode(part: Stacked[CrossEntropy], y: Tensor, outputs: int) -> Tensor:
        """One at the label."""
        import torch

        return torch.zeros((*y.shape, outputs), device=y.device).scatter_(2, y.unsqueeze(2), 1.0)

    @staticmethod
    def loss(part: Stacked[CrossEntropy], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """−log p_y, or −Σ t·log p."""
        if mixed is None:
            return -predicted.gather(2, y.unsqueeze(2)).squeeze(2)
        return -summed(mixed * predicted).squeeze(2)

    @staticmethod
    def statistic(part: Stacked[CrossEntropy], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """1 where the most probable class is the row's, or the share that it has of the mixed ones."""
        best = predicted.argmax(2)
        if mixed is None:
            return (best == y).to(predicted.dtype)
        return mixed.gather(2, best.unsqueeze(2)).squeeze(2)

    @staticmethod
    def gradient(part: Stacked[CrossEntropy], predicted: Tensor, y: Tensor, mixed: Tensor | None, rows: int) -> Tensor:
        """(p − t) / rows."""
        import torch

        if mixed is None:
            gradient = torch.zeros_like(predicted).scatter_(2, y.unsqueeze(2), -1 / rows)
        else:
            gradient = mixed.mul(-1 / rows)
        g: Tensor = torch.ops.aten._log_softmax_backward_data(gradient, predicted, 2, predicted.dtype)
        return g

    @staticmethod
    def metrics(mark: Tensor, variance: Tensor, unit: float | Tensor) -> Mapping[str, Tensor]:
        """The mean mark, and what is missing to 1."""
        return {"accuracy": mark, "error": 1 - mark}

    @staticmethod
    def row_scores(part: Stacked[CrossEntropy], predicted: Tensor, y: Tensor, rows: int) -> tuple[Tensor, ...]:
        """The statistic, Brier score, confidence and most probable class of each row, and what it is ranked by."""
        best, ranking = predicted.argmax(2), classification.ranking(predicted, rows)
        return (best == y).to(predicted.dtype), *calibration.row_scores(predicted, y), best, ranking

    @staticmethod
    def evaluation_metrics(scores: Sequence[Tensor], targets: RowTargets) -> Mapping[str, Tensor]:
        """The Brier score, the expected calibration error, balanced accuracy, F1 and the area under the curve."""
        hit, brier, confidence, predicted, ranking = scores
        y, classes, units = targets.y, targets.outputs, targets.units
        sums = calibration.tally(brier, confidence, hit, targets.weights)
        metrics = {
            **classification.class_metrics(predicted, y, classes, units),
            "auc": classification.auc(ranking, y, classes, units),
        }
        undefined = brier.isnan().any(1)
        defined = {name: values.masked_fill(undefined, math.nan) for name, values in metrics.items()}
        return {**calibration.metrics(sums, targets.total), **defined}
