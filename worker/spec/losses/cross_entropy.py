"""Cross-entropy: how surprising the true class is to the model.

    ℓ = −log p_y,    p = softmax(z)        so       ∂ℓ/∂z = p − t        (t is one at the label)

With class weights v the mean loss is Σ v_y·ℓ / Σ v_y, wherever it is measured, and training minimizes that of the
training rows. A batch's gradient is the mean over its rows of v_y·∂ℓ/∂z, with v scaled so that its mean over the
training rows is 1. So batches of equal size have the objective's gradient on average. ``torch.nn.CrossEntropyLoss``
divides each batch by its own Σ v_y, which is another objective: a rare class weighs less in a batch that has more of
its rows. Both agree for ``batch_size: full``. A weight belongs to its row: it multiplies what label smoothing and
teachers add, and mixed rows have the weights of their labels' shares. Scores are not weighted.

Reference: Cox, 1958, "The regression analysis of binary sequences"; King and Zeng, 2001, "Logistic regression in rare
events data" (class weights); Bridle, 1990, "Probabilistic interpretation of
feedforward classification network outputs" (softmax).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.families.classification_loss import ClassificationLoss
from worker.spec.part import Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class CrossEntropy(ClassificationLoss):
    """The negative logarithm of the probability that the model gives the true class.

    Runs also record `accuracy` and `error`, and in evaluation mode `brier` and `ece`: the Brier score, from 0 to 2,
    and the expected calibration error over 15 bins, which is biased upwards on few rows. They also record
    `balanced_accuracy` (mean recall of the classes), `f1` (mean F1 of the classes) and `auc` (area under the ROC
    curve; for several classes the mean of each against the rest).
    """

    equation: ClassVar[str] = "ℓ = −log p_y,  p = softmax(z)"
    reference: ClassVar[str] = "Cox 1958, The regression analysis of binary sequences"

    kind: Literal["cross_entropy"] = "cross_entropy"

    def label_losses(self, log_p: NDArray[np.float64]) -> NDArray[np.float64]:
        """−log p_y."""
        return -log_p

    @staticmethod
    def loss(part: Stacked[CrossEntropy], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """−log p_y, or −Σ t·log p."""
        if mixed is None:
            return -predicted.gather(2, y.unsqueeze(2)).squeeze(2)
        return -summed(mixed * predicted).squeeze(2)

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
