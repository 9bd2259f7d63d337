"""Elastic net: L1 and L2 together, zeros for what does little and small values for the rest.

    J = loss + λ₁ · Σ|W| + λ₂/2 · Σ‖W‖²

λ₂ goes through the gradient, λ₁ by a proximal step after the optimizer's, as in ``l1`` and ``l2``.

Reference: Zou and Hastie, 2005, "Regularization and variable selection via the elastic net".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class ElasticNet(Regularizer):
    """Add λ₁ times the absolute values and λ₂/2 times the squared norm of the weights."""

    equation: ClassVar[str] = "J = loss + λ₁ · Σ|W| + λ₂/2 · Σ‖W‖²"
    reference: ClassVar[str] = "Zou and Hastie 2005, Regularization and variable selection via the elastic net"
    neutral: ClassVar[dict[str, float]] = {"l1": 0.0, "l2": 0.0}

    kind: Literal["elastic_net"] = "elastic_net"
    l1: PerRun[float] = Field(ge=0, le=1e6, examples=[1e-5], description="λ₁, of the absolute values.")
    l2: PerRun[float] = Field(ge=0, le=1e6, examples=[1e-4], description="λ₂, of the squares.")
    biases: bool = Field(default=False, description="Whether biases are penalised too.")

    @staticmethod
    def penalty(part: Stacked[ElasticNet], w: Tensor) -> Tensor:
        """λ₁·|w| + λ₂/2·w² for each weight of ``w`` (K, out, in)."""
        return part.column("l1", 3) * w.abs() + part.column("l2", 3) / 2 * w.square()

    @staticmethod
    def grad(part: Stacked[ElasticNet], w: Tensor, g: Tensor) -> None:
        """Add λ₂·w to ``g``."""
        g.addcmul_(w, part.column("l2", 3))

    @staticmethod
    def prox(part: Stacked[ElasticNet], w: Tensor, learning_rate: Tensor) -> None:
        """Shrink every weight towards zero by η·λ₁, and no further."""
        threshold = part.column("l1", 3) * learning_rate
        w.sub_(w.clamp(-threshold, threshold))
