"""Random shear: a picture slanted a little, as handwriting is, is still a picture of the same thing.

    x̃(u, v) = x(u + s·v, v),    s ~ U(−amount, amount),  nearest pixel, outside is black

u runs to the right and v downwards, from the image's center; s is drawn in steps of 0.01. Pixels are moved, not
interpolated.

Reference: Simard, Steinkraus and Platt, 2003, "Best practices for convolutional neural networks applied to visual
document analysis" (affine distortions); pixels as torchvision's ``affine`` with ``InterpolationMode.NEAREST``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked
from worker.spec.pixels import moved
from worker.spec.warps import with_blank

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 100
"""Of a shear of 1."""


class Shear(ImageOperation):
    """Slant each training image at random, either way."""

    equation: ClassVar[str] = "x̃(u, v) = x(u + s·v, v),  s ~ U(−amount, amount)"
    reference: ClassVar[str] = "Simard, Steinkraus and Platt 2003, Best practices for convolutional neural networks"
    neutral: ClassVar[dict[str, float]] = {"amount": 0.0}

    kind: Literal["shear"] = "shear"
    amount: PerRun[float] = Field(
        ge=0,
        le=2,
        examples=[0.2],
        description="The largest s: by how many pixels a row may move for each one below the center; 0 leaves images "
        "alone.",
    )

    @property
    def map_count(self) -> int:
        """Number of the index maps."""
        return 2 * round(self.amount * STEPS) + 1

    @staticmethod
    def pixel_maps(part: Stacked[Shear], height: int, width: int) -> Tensor:
        """One map for each step of 0.01, up to the largest ``amount`` in the stack; the middle map is the identity."""
        import torch

        largest = round(max(one.amount for one in part.parts) * STEPS)
        matrices = torch.zeros((2 * largest + 1, 6), dtype=torch.float64)
        matrices[:, 0] = matrices[:, 4] = 1
        matrices[:, 1] = torch.arange(-largest, largest + 1) / STEPS
        blank = height * width
        places = torch.arange(1, blank + 1, dtype=torch.float64).view(1, 1, height, width)
        maps = moved(places.expand(len(matrices), 1, height, width), matrices)
        return with_blank(maps.view(len(matrices), blank).long() - 1, blank)

    @staticmethod
    def choose_map(part: Stacked[Shear], rng: Rng, count: int) -> Tensor:
        """The map of each row's slant."""
        limit = (part.column("amount", 2) * STEPS).round()
        return ((2 * rng.uniform() - 1) * limit).round().long() + count // 2
