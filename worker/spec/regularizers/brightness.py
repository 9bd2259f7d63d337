"""Random brightness: the same thing in another light.

    x̃ = min(f·x, white),  f ~ U(1 − amount, 1 + amount)

The result is kept between black and white.

Reference: Howard, 2013, "Some improvements on deep convolutional neural network based image classification"; pixels as
torchvision's ``adjust_brightness``, without rounding to whole numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked
from worker.spec.pixels import brightened

if TYPE_CHECKING:
    from torch import Tensor


class Brightness(ImageOperation):
    """Make each training image darker or brighter at random."""

    equation: ClassVar[str] = "x̃ = min(f·x, white),  f ~ U(1 − amount, 1 + amount)"
    reference: ClassVar[str] = (
        "Howard 2013, Some improvements on deep convolutional neural network based image classification"
    )
    neutral: ClassVar[dict[str, float]] = {"amount": 0.0}

    kind: Literal["brightness"] = "brightness"
    amount: PerRun[float] = Field(
        ge=0, le=1, examples=[0.2], description="How far the factor f may lie from 1; 0 leaves images alone."
    )

    @staticmethod
    def image(part: Stacked[Brightness], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every row with its own factor."""
        return brightened(x, 1 + (2 * rng.uniform() - 1) * part.column("amount", 2), white)
