"""Orthogonal penalty: units that look in different directions, with weights of length one.

    J = loss + λ · Σ‖W·Wᵀ − I‖²_F        so       ∂J/∂W = ∂loss/∂W + 4λ·(W·Wᵀ − I)·W

W are the weights of a layer, one row for each unit or output channel. A matrix with more rows than columns cannot have
orthogonal rows, so its columns are made orthogonal: Wᵀ·W takes the place of W·Wᵀ, which differs only by a constant.
The products are exact sums of rounded numbers, with the same bits in every stack.

Reference: Brock, Lim, Ritchie and Weston, 2017, "Neural photo editing with introspective adversarial networks"; Bansal,
Chen and Wang, 2018, "Can we gain more from orthogonality regularizations in training deep CNNs?" (soft orthogonality).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked
from worker.spec.sums import FixedPoint, fixed_point

if TYPE_CHECKING:
    from torch import Tensor


class Orthogonal(Regularizer):
    """Add λ times the squared distance of each weight matrix from having orthonormal rows or columns."""

    equation: ClassVar[str] = "J = loss + λ · Σ‖W·Wᵀ − I‖²_F"
    reference: ClassVar[str] = (
        "Bansal, Chen and Wang 2018, Can we gain more from orthogonality regularizations in training deep CNNs?"
    )
    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}

    kind: Literal["orthogonal"] = "orthogonal"
    strength: PerRun[float] = Field(
        ge=0, le=1e6, examples=[1e-3], description="λ; 0 is the same as leaving the part out."
    )

    @staticmethod
    def penalty(part: Stacked[Orthogonal], w: Tensor) -> Tensor:
        """λ times the square of each element of W·Wᵀ − I, or of Wᵀ·W − I."""
        return part.column("strength", 3) * _excess(_wide(w)).square()

    @staticmethod
    def grad(part: Stacked[Orthogonal], w: Tensor, g: Tensor) -> None:
        """Add 4λ·(W·Wᵀ − I)·W to ``g``."""
        strength, wide = part.column("strength", 3), _wide(w)
        own = fixed_point(_excess(wide).mul_(4 * strength), wide.whole.shape[1]).times(wide).to(g.dtype)
        own.masked_fill_(strength == 0, 0)  # an infinite number must not reach runs without the part
        g.add_(own if w.shape[1] <= w.shape[2] else own.transpose(1, 2))


def _wide(w: Tensor) -> FixedPoint:
    """``w`` (K, out, in) with at most as many rows as columns."""
    wide = w if w.shape[1] <= w.shape[2] else w.transpose(1, 2)
    return fixed_point(wide, wide.shape[2])


def _excess(w: FixedPoint) -> Tensor:
    """W·Wᵀ − I of each matrix (K, m, n), (K, m, m) in float64."""
    gram = w.times(w.transposed)
    gram.diagonal(dim1=1, dim2=2).sub_(1)
    return gram
