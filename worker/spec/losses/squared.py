"""Squared error: large residuals weigh most.

    ℓ = r²,    r = ŷ − y        so       ∂ℓ/∂ŷ = 2·r

Its mean is the mean squared error, as in ``torch.nn.MSELoss``: there is no ½ in it. So ``l1`` of strength 2·α is the
lasso of the statistics' books, which minimise ½·mean(r²) + α·Σ|w|.

Reference: Legendre, 1805, "Nouvelles méthodes pour la détermination des orbites des comètes" (least squares).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.families.loss import Regression, residual
from worker.spec.part import Stacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Squared(Regression):
    """The square of the residual."""

    equation: ClassVar[str] = "ℓ = (ŷ − y)²"
    reference: ClassVar[str] = "Legendre 1805, Nouvelles méthodes pour la détermination des orbites des comètes"

    kind: Literal["squared"] = "squared"

    def residual_losses(self, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """r²."""
        return r * r

    @staticmethod
    def loss(part: Stacked[Squared], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """r²."""
        return residual(predicted, y, mixed).square()

    @staticmethod
    def gradient(part: Stacked[Squared], predicted: Tensor, y: Tensor, mixed: Tensor | None, rows: int) -> Tensor:
        """2·r / rows."""
        return residual(predicted, y, mixed).mul(2 / rows).unsqueeze(2)
