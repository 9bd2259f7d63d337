"""Random sharpening: edges stand out more.

    x̃ = f·x + (1 − f)·blurred(x),    f ~ U(1, 1 + amount)

``blurred`` is the mean of a pixel and its eight neighbours, in which the pixel counts five times; pixels of the margin
stay.

Reference: Cubuk, Zoph, Mané, Vasudevan and Le, 2019, "AutoAugment: learning augmentation strategies from data"; pixels
as torchvision's ``adjust_sharpness``, without rounding to whole numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import ImageOperation, Rng
from worker.spec.part import PerRun, Stacked
from worker.spec.warps import per_image

if TYPE_CHECKING:
    from torch import Tensor


class Sharpen(ImageOperation):
    """Sharpen each training image by a random amount."""

    equation: ClassVar[str] = "x̃ = f·x + (1 − f)·blurred(x),  f ~ U(1, 1 + amount)"
    reference: ClassVar[str] = (
        "Cubuk, Zoph, Mané, Vasudevan and Le 2019, AutoAugment: learning augmentation strategies from data"
    )
    neutral: ClassVar[dict[str, float]] = {"amount": 0.0}

    kind: Literal["sharpen"] = "sharpen"
    amount: PerRun[float] = Field(
        ge=0, le=10, examples=[1.0], description="How far the factor f may lie above 1; 0 leaves images alone."
    )

    @staticmethod
    def image(part: Stacked[Sharpen], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every row with its own factor."""
        factor = per_image(1 + rng.uniform() * part.column("amount", 2))
        blurred = x.clone()
        height, width = x.shape[-2:]
        inner = 4 * x[..., 1:-1, 1:-1]
        for i in range(3):
            for j in range(3):
                inner = inner + x[..., i : height - 2 + i, j : width - 2 + j]
        blurred[..., 1:-1, 1:-1] = inner / 13
        return x.mul_(factor).add_(blurred.mul_(1 - factor)).clamp_(0, white)
