"""Huber's loss: squared for small residuals, straight for large ones, so that outliers do not rule.

    ℓ = r²/2  where |r| ≤ δ,  else  δ·(|r| − δ/2)        so       ∂ℓ/∂ŷ = r, held in [−δ, δ]

As in ``torch.nn.HuberLoss``. Where targets are standardised, δ counts in their standard deviations.

Reference: Huber, 1964, "Robust estimation of a location parameter".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.loss import Regression, residual
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Huber(Regression):
    """Half the square of the residual up to δ, and a straight line from there on."""

    equation: ClassVar[str] = "ℓ = r²/2 where |r| ≤ δ, else δ·(|r| − δ/2);  r = ŷ − y"
    reference: ClassVar[str] = "Huber 1964, Robust estimation of a location parameter"

    kind: Literal["huber"] = "huber"
    delta: PerRun[float] = Field(default=1.0, gt=0, le=1e6, description="δ, the residual from which it is straight.")

    def residual_losses(self, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """r²/2, or δ·(|r| − δ/2)."""
        import numpy as np

        size = np.abs(r)
        return np.where(size <= self.delta, np.square(r) / 2, self.delta * (size - self.delta / 2))

    @staticmethod
    def loss(part: Stacked[Huber], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """r²/2, or δ·(|r| − δ/2)."""
        import torch

        size, delta = residual(predicted, y, mixed).abs(), part.column("delta", 2)
        return torch.where(size <= delta, size.square() / 2, delta * (size - delta / 2))

    @staticmethod
    def gradient(part: Stacked[Huber], predicted: Tensor, y: Tensor, mixed: Tensor | None, rows: int) -> Tensor:
        """The residual over rows, held in ±δ / rows."""
        delta = part.column("delta", 2)
        return residual(predicted, y, mixed).clamp(-delta, delta).div(rows).unsqueeze(2)
