"""Random hue: all colors of an image move along the color circle.

    x̃ = HSV⁻¹(h + d, s, v) with (h, s, v) = HSV(x),  d ~ U(−amount, amount)

h is a share of the circle: 1/3 turns red into green. Grey pixels stay.

Reference: Howard, 2013, "Some improvements on deep convolutional neural network based image classification"; Smith,
1978, "Color gamut transform pairs" (HSV); pixels as torchvision's ``adjust_hue``, without rounding to whole numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.colors import ColorOperation
from worker.spec.families.hooks import Rng
from worker.spec.part import PerRun, Stacked
from worker.spec.warps import per_image

if TYPE_CHECKING:
    from torch import Tensor

SECTORS = 6
"""Of the color circle: red, yellow, green, cyan, blue and magenta."""
OFFSETS = (5.0, 3.0, 1.0)
"""Sectors by which the curves of red, green and blue are shifted."""


class Hue(ColorOperation):
    """Shift the hue of each training image at random."""

    equation: ClassVar[str] = "x̃ = HSV⁻¹(h + d, s, v),  d ~ U(−amount, amount)"
    reference: ClassVar[str] = (
        "Howard 2013, Some improvements on deep convolutional neural network based image classification"
    )
    neutral: ClassVar[dict[str, float]] = {"amount": 0.0}

    kind: Literal["hue"] = "hue"
    amount: PerRun[float] = Field(
        ge=0,
        le=0.5,
        examples=[0.05],
        description="The largest shift d either way, as a share of the color circle; 0 leaves images alone.",
    )

    @staticmethod
    def image(part: Stacked[Hue], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every row with its own shift."""
        import torch

        shift = per_image((2 * rng.uniform() - 1) * part.column("amount", 2))
        return torch.where(shift == 0, x, turned(x, shift))


def turned(x: Tensor, shift: Tensor) -> Tensor:
    """Return the images ``x`` (…, 3, H, W) with their hue shifted by ``shift``, a share of the circle.

    A channel of hue h (in sectors), value v and chroma c is v − c·clamp(min(k, 4 − k), 0, 1) with k = (n + h) mod 6,
    where n is the channel's offset.
    """
    import torch

    value, chroma = x.amax(-3, keepdim=True), x.amax(-3, keepdim=True) - x.amin(-3, keepdim=True)
    red, green, blue = torch.split(x, 1, -3)
    divisor = torch.where(chroma == 0, 1.0, chroma)
    of_blue, of_green, of_red = 4 + (red - green) / divisor, 2 + (blue - red) / divisor, (green - blue) / divisor
    hue = torch.where(value == red, of_red, torch.where(value == green, of_green, of_blue)) + SECTORS * shift
    channels = []
    for offset in OFFSETS:
        k = (hue + offset).remainder(SECTORS)
        channels.append(value - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.cat(channels, -3)
