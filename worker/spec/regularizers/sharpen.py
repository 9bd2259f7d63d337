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

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked
from worker.spec.pixels import sharpened

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
        return sharpened(x, 1 + rng.uniform() * part.column("amount", 2), white)
