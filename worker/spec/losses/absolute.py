"""Absolute error: every residual counts by its size, so that outliers pull no more than others.

    ℓ = |r|,    r = ŷ − y        so       ∂ℓ/∂ŷ = sign(r)

The constant that minimizes it is the median of the targets, as the mean minimizes the squared error. The gradient has
the same size however small the residual is, so a learning rate that falls is needed to come to rest. As in
``torch.nn.L1Loss``.

Reference: Boscovich, 1757; Koenker and Bassett, 1978, "Regression quantiles".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.families.loss import Regression, residual
from worker.spec.part import Stacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Absolute(Regression):
    """The size of the residual."""

    equation: ClassVar[str] = "ℓ = |ŷ − y|"
    reference: ClassVar[str] = "Koenker and Bassett 1978, Regression quantiles"

    kind: Literal["absolute"] = "absolute"

    def residual_losses(self, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """|r|."""
        return abs(r)

    @staticmethod
    def loss(part: Stacked[Absolute], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """|r|."""
        return residual(predicted, y, mixed).abs()

    @staticmethod
    def gradient(part: Stacked[Absolute], predicted: Tensor, y: Tensor, mixed: Tensor | None, rows: int) -> Tensor:
        """sign(r) / rows."""
        return residual(predicted, y, mixed).sign().div(rows).unsqueeze(2)
