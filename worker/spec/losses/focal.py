"""Focal loss: cross-entropy that gives less weight to rows that the model already classifies well.

    ℓ = −(1 − p_y)^γ · log p_y,    p = softmax(z)

Targets that are mixed or smoothed are shares t, and ℓ = −Σ_c t_c·(1 − p_c)^γ·log p_c. γ = 0 is cross-entropy. The α of
the paper is ``class_weights``, which act as in ``cross_entropy``.

Reference: Lin, Goyal, Girshick, He and Dollár, 2017, "Focal loss for dense object detection".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.classification_loss import ClassificationLoss
from worker.spec.part import PerRun, Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

SMALLEST = 1e-37
"""At least this is 1 − p in a logarithm, which is finite then; the smallest normal float32 is 1.2e-38."""


class Focal(ClassificationLoss):
    """Cross-entropy times (1 − p_y)^γ, so that rows that are easy to classify count less."""

    equation: ClassVar[str] = "ℓ = −(1 − p_y)^γ · log p_y,  p = softmax(z)"
    reference: ClassVar[str] = "Lin, Goyal, Girshick, He and Dollár 2017, Focal loss for dense object detection"

    kind: Literal["focal"] = "focal"
    gamma: PerRun[float] = Field(default=2.0, ge=0, le=100, description="γ; 0 is cross_entropy.")

    def label_losses(self, log_p: NDArray[np.float64]) -> NDArray[np.float64]:
        """−(1 − p_y)^γ·log p_y."""
        import numpy as np

        return np.asarray(-((-np.expm1(log_p)) ** self.gamma) * log_p)

    @staticmethod
    def loss(part: Stacked[Focal], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """The loss of the label, or the sum of the classes' losses by their shares."""
        if mixed is None:
            log_p = predicted.gather(2, y.unsqueeze(2))
            return -(_focus(part, _complement(log_p)) * log_p).squeeze(2)
        return -summed(mixed * _focus(part, _complement(predicted)) * predicted).squeeze(2)

    @staticmethod
    def gradient(part: Stacked[Focal], predicted: Tensor, y: Tensor, mixed: Tensor | None, rows: int) -> Tensor:
        """Through ∂ℓ/∂log p_c = t_c·(1 − p_c)^γ·(γ·p_c·log p_c/(1 − p_c) − 1), then the softmax."""
        import torch

        q = _complement(predicted)
        ratio = torch.where(q > 0, predicted / q, -1.0)  # log p / (1 − p) tends to −1
        slope = _focus(part, q).mul_(part.column("gamma", 3) * (1 - q) * ratio - 1).div_(rows)
        if mixed is None:
            gradient = torch.zeros_like(predicted).scatter_(2, y.unsqueeze(2), slope.gather(2, y.unsqueeze(2)))
        else:
            gradient = mixed * slope
        g: Tensor = torch.ops.aten._log_softmax_backward_data(gradient, predicted, 2, predicted.dtype)
        return g


def _complement(log_p: Tensor) -> Tensor:
    """1 − p."""
    return log_p.expm1().neg_()


def _focus(part: Stacked[Focal], q: Tensor) -> Tensor:
    """q^γ. The bits of torch's own power depend on an element's position in the tensor."""
    return q.clamp_min(SMALLEST).log_().mul_(part.column("gamma", 3)).exp_()
