"""L1 penalty (lasso): make weights exactly zero where they do little.

    J = loss + λ · Σ|W|,    by a proximal step after the optimizer's:    W ← sign(W) · max(|W| − η·λ, 0)

A subgradient step would leave the weights jumping around zero; the proximal step sets them to zero and keeps them
there. η is the learning rate of the epoch.

Reference: Tibshirani, 1996, "Regression shrinkage and selection via the lasso"; Daubechies, Defrise and De Mol, 2004,
"An iterative thresholding algorithm for linear inverse problems with a sparsity constraint" (the proximal step).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class L1(Regularizer):
    """Add λ times the absolute value of every weight, with true zeros; of biases only with ``biases``."""

    equation: ClassVar[str] = "J = loss + λ · Σ|W|;  W ← sign(W) · max(|W| − η·λ, 0)"
    reference: ClassVar[str] = "Tibshirani 1996, Regression shrinkage and selection via the lasso"
    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}

    kind: Literal["l1"] = "l1"
    strength: PerRun[float] = Field(
        ge=0, le=1e6, examples=[1e-4], description="λ; 0 is the same as leaving the part out."
    )
    biases: bool = Field(default=False, description="Whether biases are penalised too.")

    @staticmethod
    def penalty(part: Stacked[L1], w: Tensor) -> Tensor:
        """λ·|w| for each weight of ``w`` (K, out, in)."""
        return part.column("strength", 3) * w.abs()

    @staticmethod
    def prox(part: Stacked[L1], w: Tensor, learning_rate: Tensor) -> None:
        """Shrink every weight towards zero by η·λ, and no further."""
        threshold = part.column("strength", 3) * learning_rate
        w.sub_(w.clamp(-threshold, threshold))
