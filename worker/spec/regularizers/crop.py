"""Random crop: a picture moved a little is still a picture of the same thing.

    x̃[i, j] = x[i + d₁, j + d₂],    d₁, d₂ uniform in −padding … padding, outside is black

The picture is padded on all sides and a piece of its old size is cut out.

Reference: Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep convolutional neural networks";
pixels as torchvision's ``RandomCrop(padding=…)``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked
from worker.spec.warps import with_blank

if TYPE_CHECKING:
    from torch import Tensor


class Crop(ImageOperation):
    """Pad each training image and cut a piece of its size out at random."""

    equation: ClassVar[str] = "x̃[i, j] = x[i + d₁, j + d₂]"
    reference: ClassVar[str] = "Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep CNNs"
    neutral: ClassVar[dict[str, float]] = {"padding": 0}

    kind: Literal["crop"] = "crop"
    padding: PerRun[int] = Field(
        ge=0, le=32, examples=[2], description="Pixels added on each side; 0 leaves images alone."
    )

    @property
    def map_count(self) -> int:
        """Number of the index maps."""
        return (2 * self.padding + 1) ** 2

    @staticmethod
    def pixel_maps(part: Stacked[Crop], height: int, width: int) -> Tensor:
        """One map for each pair of shifts, up to the largest ``padding`` in the stack."""
        import torch

        largest = max(crop.padding for crop in part.parts)
        shifts = torch.arange(-largest, largest + 1)
        i = torch.arange(height).view(1, 1, -1, 1) + shifts.view(-1, 1, 1, 1)
        j = torch.arange(width).view(1, 1, 1, -1) + shifts.view(1, -1, 1, 1)
        inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
        maps = torch.where(inside, i * width + j, -1)
        return with_blank(maps.view(-1, height * width), height * width)

    @staticmethod
    def choose_map(part: Stacked[Crop], rng: Rng, count: int) -> Tensor:
        """The map of each row's two shifts."""
        side = math.isqrt(count)
        padding = part.column("padding", 2)
        down, right = ((rng.uniform(name) * (2 * padding + 1)).floor() - padding for name in ("down", "right"))
        return ((down + side // 2) * side + right + side // 2).long()
