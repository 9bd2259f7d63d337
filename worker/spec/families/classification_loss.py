"""The base of losses of classification: log-probabilities, class weights and scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from worker.spec import calibration, classification
from worker.spec.families.dataset import Task
from worker.spec.families.loss import Loss, RowTargets
from worker.spec.part import Objection, Stacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from worker.spec.run import RunSpec

MAX_NAMES = 12
"""Of classes, in a message."""
ClassWeight = Annotated[float, Field(gt=0, le=1e6)]


class ClassificationLoss(Loss):
    """A loss of the log-probabilities of classes.

    Its scores are ``accuracy`` and ``error``, the shares of rows whose most probable class is theirs, or is not, and in
    evaluation mode ``brier`` and ``ece``, which measure the probabilities (:mod:`worker.spec.calibration`), and
    ``balanced_accuracy``, ``f1`` and ``auc`` (:mod:`worker.spec.classification`).
    """

    task: ClassVar[Task] = "classification"
    metric_names: ClassVar[tuple[str, ...]] = ("accuracy", "error")
    evaluation_names: ClassVar[tuple[str, ...]] = (*calibration.NAMES, *classification.NAMES)

    class_weights: Literal["balanced"] | tuple[ClassWeight, ...] | None = Field(
        default=None,
        exclude_if=lambda weights: weights is None,  # so that hashes are the same as before class weights existed
        description="Weights of the classes in the mean loss, in the order of the classes. balanced weights each class "
        "by n / (C·n_c): all count alike, however many of the n training rows they have. Scores are not weighted.",
    )

    def label_losses(self, log_p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the losses of rows, given the log-probabilities of their true classes."""
        raise NotImplementedError

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
    def predict(part: Stacked[ClassificationLoss], z: Tensor) -> Tensor:
        """Log-probabilities."""
        import torch

        return torch.log_softmax(z, 2)

    @staticmethod
    def encode(part: Stacked[ClassificationLoss], y: Tensor, outputs: int) -> Tensor:
        """One at the label."""
        import torch

        return torch.zeros((*y.shape, outputs), device=y.device).scatter_(2, y.unsqueeze(2), 1.0)

    @staticmethod
    def statistic(part: Stacked[ClassificationLoss], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """1 where the most probable class is the row's, or the share that it has of the mixed ones."""
        best = predicted.argmax(2)
        if mixed is None:
            return (best == y).to(predicted.dtype)
        return mixed.gather(2, best.unsqueeze(2)).squeeze(2)

    @staticmethod
    def metrics(mark: Tensor, variance: Tensor, unit: float | Tensor) -> Mapping[str, Tensor]:
        """The mean mark, and what is missing to 1."""
        return {"accuracy": mark, "error": 1 - mark}

    @staticmethod
    def row_scores(part: Stacked[ClassificationLoss], predicted: Tensor, y: Tensor, rows: int) -> tuple[Tensor, ...]:
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
