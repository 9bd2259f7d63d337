"""Cross-entropy: how surprising the true class is to the model.

    ℓ = −log p_y,    p = softmax(z)        so       ∂ℓ/∂z = p − t        (t is one at the label)

With class weights v the mean loss is Σ v_y·ℓ / Σ v_y, wherever it is measured, and training minimizes that of the
training rows. A batch's gradient is the mean over its rows of v_y·∂ℓ/∂z, with v scaled so that its mean over the
training rows is 1. So batches of equal size have the objective's gradient on average. ``torch.nn.CrossEntropyLoss``
divides each batch by its own Σ v_y, which is another objective: a rare class weighs less in a batch that has more of
its rows. Both agree for ``batch_size: full``. A weight belongs to its row: it multiplies what label smoothing and
teachers add, and mixed rows have the weights of their labels' shares. Scores are not weighted.

Its scores are ``accuracy`` and ``error``, the shares of rows whose most probable class is theirs, or is not, and in
evaluation mode ``brier`` and ``ece``, which measure the probabilities (:mod:`worker.spec.calibration`), and
``balanced_accuracy``, ``f1`` and ``auc`` (:mod:`worker.spec.classification`).

Reference: Cox, 1958, "The regression analysis of binary sequences"; King and Zeng, 2001, "Logistic regression in rare
events data" (class weights); Bridle, 1990, "Probabilistic interpretation of
feedforward classification network outputs" (softmax).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from worker.spec import calibration, classification
from worker.spec.families.dataset import Task
from worker.spec.families.loss import Loss, RowTargets
from worker.spec.part import Objection, Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec

MAX_NAMES = 12
"""Of classes, in a message."""
ClassWeight = Annotated[float, Field(gt=0, le=1e6)]


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
    class_weights: Literal["balanced"] | tuple[ClassWeight, ...] | None = Field(
        default=None,
        exclude_if=lambda weights: weights is None,  # so that hashes are the same as before class weights existed
        description="Weights of the classes in the mean loss, in the order of the classes. balanced weights each class "
        "by n / (C·n_c): all count alike, however many of the n training rows they have. Scores are not weighted.",
    )

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse weights of other classes than those of the dataset, and models that weights do not change."""
        if (objections := super().objections(run)) or self.class_weights is None:
            return objections
        if not run.model.trains:
            message = f"{run.model.kind!r} is not trained, so class weights change nothing; leave class_weights out."
            return [Objection(field="class_weights", message=message)]
        if self.class_weights == "balanced" and run.dataset.oversample:
            message = "Balanced weights and dataset.oversample would both raise rare classes. Leave one of the two out."
            return [Objection(field="class_weights", message=message)]
        classes = run.dataset.classes
        if self.class_weights == "balanced" or len(self.class_weights) == len(classes):
            return ()
        names = ", ".join(classes[:MAX_NAMES]) + (", …" if len(classes) > MAX_NAMES else "")
        message = (
            f"{len(self.class_weights)} weights for {len(classes)} classes. Use 'balanced', or one weight for each of "
            f"{names}, in this order."
        )
        return [Objection(field="class_weights", message=message, allowed=["balanced"])]

    def weights_of_classes(self, counts: Tensor) -> Tensor | None:
        """The given weights, or n / (C·n_c); a class that the training rows lack counts as one row."""
        import torch

        if self.class_weights is None:
            return None
        if self.class_weights == "balanced":
            return counts.sum(1, keepdim=True) / (counts.shape[1] * torch.where(counts > 0, counts, 1.0))
        return torch.tensor(self.class_weights, dtype=torch.float64, device=counts.device).expand(counts.shape)

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
