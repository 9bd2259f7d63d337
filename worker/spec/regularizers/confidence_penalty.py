"""Confidence penalty: no output is quite certain.

    J = loss − β · (1/N) · Σ_n H(p_n),    H(p) = −Σ_c p_c·log p_c

p_n are the probabilities of the classes for row n. Where ``label_smoothing`` moves all probabilities towards 1/C, this
only keeps the largest from growing towards 1. The term is negative, since entropy is rewarded; ``train.loss`` stays the
cross-entropy.

Reference: Pereyra, Tucker, Chorowski, Kaiser and Hinton, 2017, "Regularizing neural networks by penalizing confident
output distributions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor


class ConfidencePenalty(Regularizer):
    """Subtract β times the mean entropy of the outputs from the objective."""

    equation: ClassVar[str] = "J = loss − β · (1/N) · Σ_n H(p_n)"
    reference: ClassVar[str] = (
        "Pereyra, Tucker, Chorowski, Kaiser and Hinton 2017, Regularizing neural networks by penalizing confident "
        "output distributions"
    )
    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}
    for_classes: ClassVar[bool] = True

    kind: Literal["confidence_penalty"] = "confidence_penalty"
    strength: PerRun[float] = Field(default=0.1, ge=0, le=100, description="β; 0 is the same as leaving the part out.")

    @staticmethod
    def penalty_of_outputs(part: Stacked[ConfidencePenalty], log_p: Tensor, y: Tensor) -> Tensor:
        """β·Σ p·log p of each row, (K, N)."""
        return part.column("strength", 2) * summed(log_p.exp() * log_p).squeeze(2)

    @staticmethod
    def grad_of_outputs(part: Stacked[ConfidencePenalty], log_p: Tensor, g: Tensor, rows: int) -> None:
        """Add β/N·p·(log p + H(p)) to ``g``."""
        p = log_p.exp()
        g.add_(p.mul_(log_p - summed(p * log_p)).mul_(part.column("strength", 3) / rows))
