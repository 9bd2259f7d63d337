"""L2 penalty on activations: hidden units with small values.

    J = loss + λ/2 · (1/N) · Σ_n Σ_j a_nj²

a_nj is the activation of hidden unit j for row n, before dropout, in all hidden layers; N is the number of rows.
Keras' ``activity_regularizer=L2`` is this with λ/2 in place of λ.

Reference: Merity, McCann and Socher, 2017, "Revisiting activation regularization for language RNNs".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.activity import ActivityPenalty, mean_of_rows
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class ActivityL2(ActivityPenalty):
    """Add λ/2 times the mean squared norm of a row's hidden activations."""

    equation: ClassVar[str] = "J = loss + λ/2 · (1/N) · Σ_n Σ_j a_nj²"
    reference: ClassVar[str] = "Merity, McCann and Socher 2017, Revisiting activation regularization for language RNNs"

    kind: Literal["activity_l2"] = "activity_l2"
    strength: PerRun[float] = Field(
        ge=0, le=1e6, examples=[1e-4], description="λ; 0 is the same as leaving the part out."
    )

    @staticmethod
    def penalty_of_activations(part: Stacked[ActivityL2], a: Tensor) -> Tensor:
        """λ/2 times the mean of a_j² of each unit, (K, H)."""
        return part.column("strength", 2) / 2 * mean_of_rows(a.square())

    @staticmethod
    def grad_of_activations(part: Stacked[ActivityL2], a: Tensor, rows: int) -> Tensor:
        """λ/N · a, (K, N, H)."""
        return a * (part.column("strength", 3) / rows)
