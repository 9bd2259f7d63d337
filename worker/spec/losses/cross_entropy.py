"""Cross-entropy: how surprising the true class is to the model.

    ℓ = −log p_y,    p = softmax(z)        so       ∂ℓ/∂z = p − t        (t is one at the label)

Its scores are ``accuracy`` and ``error``, the shares of rows whose most probable class is theirs, or is not, and in
evaluation mode ``brier`` and ``ece``, which measure the probabilities (:mod:`worker.spec.calibration`).

Reference: Cox, 1958, "The regression analysis of binary sequences"; Bridle, 1990, "Probabilistic interpretation of
feedforward classification network outputs" (softmax).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec import calibration
from worker.spec.families.dataset import Task
from worker.spec.families.loss import Loss
from worker.spec.part import Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor


class CrossEntropy(Loss):
    """The negative logarithm of the probability that the model gives the true class.

    Runs also record `accuracy` and `error`, and in evaluation mode `brier` and `ece`: the Brier score, from 0 to 2,
    and the expected calibration error over 15 bins, which is biased upwards on few rows.
    """

    equation: ClassVar[str] = "ℓ = −log p_y,  p = softmax(z)"
    reference: ClassVar[str] = "Cox 1958, The regression analysis of binary sequences"
    task: ClassVar[Task] = "classification"
    metric_names: ClassVar[tuple[str, ...]] = ("accuracy", "error")
    evaluation_names: ClassVar[tuple[str, ...]] = calibration.NAMES

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
    def row_scores(part: Stacked[CrossEntropy], predicted: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """The Brier score of each row, and its confidence."""
        return calibration.row_scores(predicted, y)

    @staticmethod
    def tally(scores: Sequence[Tensor], statistic: Tensor, repeats: Tensor | int = 1) -> Tensor:
        """Brier scores, undefined rows, and gaps by bin."""
        brier, confidence = scores
        return calibration.tally(brier, confidence, statistic, repeats)

    @staticmethod
    def evaluation_metrics(sums: Tensor, rows: int) -> Mapping[str, Tensor]:
        """The Brier score and the expected calibration error."""
        return calibration.metrics(sums, rows)
