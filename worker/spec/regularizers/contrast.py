"""Random contrast: differences from an image's mean grow or shrink.

    x̃ = f·x + (1 − f)·mean(x),  f ~ U(1 − amount, 1 + amount)

The mean is that of the image in greyscale. The result is kept between black and white.

Reference: Howard, 2013, "Some improvements on deep convolutional neural network based image classification"; pixels as
torchvision's ``adjust_contrast``, without rounding to whole numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked
from worker.spec.pixels import contrasted

if TYPE_CHECKING:
    from torch import Tensor


class Contrast(ImageOperation):
    """Strengthen or weaken each training image's contrast at random."""

    equation: ClassVar[str] = "x̃ = f·x + (1 − f)·mean(x),  f ~ U(1 − amount, 1 + amount)"
    reference: ClassVar[str] = (
        "Howard 2013, Some improvements on deep convolutional neural network based image classification"
    )
    neutral: ClassVar[dict[str, float]] = {"amount": 0.0}

    kind: Literal["contrast"] = "contrast"
    amount: PerRun[float] = Field(
        ge=0, le=1, examples=[0.2], description="How far the factor f may lie from 1; 0 leaves images alone."
    )

    @staticmethod
    def image(part: Stacked[Contrast], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every row with its own factor."""
        return contrasted(x, 1 + (2 * rng.uniform() - 1) * part.column("amount", 2), white)
