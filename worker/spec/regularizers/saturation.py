"""Random saturation: colors become paler or stronger.

    x̃ = f·x + (1 − f)·grey(x),  f ~ U(1 − amount, 1 + amount)

``grey`` is the luminance 0.2989·R + 0.587·G + 0.114·B. The result is kept between black and white.

Reference: Howard, 2013, "Some improvements on deep convolutional neural network based image classification"; pixels as
torchvision's ``adjust_saturation``, without rounding to whole numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.colors import ColorOperation
from worker.spec.families.hooks import Rng
from worker.spec.part import PerRun, Stacked
from worker.spec.pixels import saturated

if TYPE_CHECKING:
    from torch import Tensor


class Saturation(ColorOperation):
    """Make the colors of each training image paler or stronger at random."""

    equation: ClassVar[str] = "x̃ = f·x + (1 − f)·grey(x),  f ~ U(1 − amount, 1 + amount)"
    reference: ClassVar[str] = (
        "Howard 2013, Some improvements on deep convolutional neural network based image classification"
    )
    neutral: ClassVar[dict[str, float]] = {"amount": 0.0}

    kind: Literal["saturation"] = "saturation"
    amount: PerRun[float] = Field(
        ge=0, le=1, examples=[0.2], description="How far the factor f may lie from 1; 0 leaves images alone."
    )

    @staticmethod
    def image(part: Stacked[Saturation], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every row with its own factor."""
        return saturated(x, 1 + (2 * rng.uniform() - 1) * part.column("amount", 2), white)
