"""L1 penalty on activations: hidden units that are exactly zero for most rows.

    J = loss + λ · (1/N) · Σ_n Σ_j |a_nj|

a_nj is the activation of hidden unit j for row n, before dropout, in all hidden layers; N is the number of rows. With
ReLU, an activation that is pushed to zero stays there.

Reference: Glorot, Bordes and Bengio, 2011, "Deep sparse rectifier neural networks", section 3; as Keras'
``activity_regularizer=L1``, which also divides by the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.activity import ActivityPenalty, mean_of_rows
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class ActivityL1(ActivityPenalty):
    """Add λ times the mean sum of the absolute values of a row's hidden activations."""

    equation: ClassVar[str] = "J = loss + λ · (1/N) · Σ_n Σ_j |a_nj|"
    reference: ClassVar[str] = "Glorot, Bordes and Bengio 2011, Deep sparse rectifier neural networks"

    kind: Literal["activity_l1"] = "activity_l1"
    strength: PerRun[float] = Field(
        ge=0, le=1e6, examples=[1e-4], description="λ; 0 is the same as leaving the part out."
    )

    @staticmethod
    def penalty_of_activations(part: Stacked[ActivityL1], a: Tensor) -> Tensor:
        """λ times the mean of |a_j| of each unit, (K, H)."""
        return part.column("strength", 2) * mean_of_rows(a.abs())

    @staticmethod
    def grad_of_activations(part: Stacked[ActivityL1], a: Tensor, rows: int) -> Tensor:
        """λ/N · sign(a), (K, N, H)."""
        return a.sign().mul_(part.column("strength", 3) / rows)
