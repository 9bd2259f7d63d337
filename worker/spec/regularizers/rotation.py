"""Random rotation: a picture turned a little is still a picture of the same thing.

    x̃(u) = x(R(−θ)·u),    θ ~ U(−degrees, degrees),  nearest pixel, outside is black

The angle is drawn in steps of 0.01°. Pixels are moved, not interpolated, so the result has the source's values.

Reference: Simard, Steinkraus and Platt, 2003, "Best practices for convolutional neural networks applied to visual
document analysis"; pixels as torchvision's ``rotate`` with ``InterpolationMode.NEAREST``.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor

STEPS_PER_DEGREE = 100


class Rotation(ImageOperation):
    """Turn each training image about its centre by a random angle of at most ``degrees``, either way."""

    equation: ClassVar[str] = "x̃(u) = x(R(−θ)·u),  θ ~ U(−degrees, degrees)"
    reference: ClassVar[str] = "Simard, Steinkraus and Platt 2003, Best practices for convolutional neural networks"
    neutral: ClassVar[dict[str, float]] = {"degrees": 0.0}

    kind: Literal["rotation"] = "rotation"
    degrees: PerRun[float] = Field(
        ge=0, le=180, examples=[10.0], description="The largest angle, in degrees; 0 leaves images alone."
    )

    @property
    def map_count(self) -> int:
        """Number of the index maps."""
        return 2 * round(self.degrees * STEPS_PER_DEGREE) + 1

    @staticmethod
    def pixel_maps(part: Stacked[Rotation], height: int, width: int) -> Tensor:
        """One map for each hundredth of a degree from −limit to limit of the largest ``degrees`` in the stack."""
        largest = max(rotation.degrees for rotation in part.parts)
        return turned(height, width, round(largest * STEPS_PER_DEGREE))

    @staticmethod
    def choose_map(part: Stacked[Rotation], rng: Rng, count: int) -> Tensor:
        """The map of each row's angle; the middle map is the identity."""
        limit = (part.column("degrees", 2) * STEPS_PER_DEGREE).round()
        return ((2 * rng.uniform() - 1) * limit).round().long() + count // 2


@functools.lru_cache(maxsize=4)
def turned(height: int, width: int, limit: int) -> Tensor:
    """Index maps (2·limit + 1, height·width + 1) of the rotations by −limit…limit hundredths of a degree."""
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import rotate

    blank = height * width
    source = (torch.arange(blank, dtype=torch.float32) + 1).view(1, height, width)
    maps = torch.empty((2 * limit + 1, blank + 1), dtype=torch.int64)
    maps[:, blank] = blank
    for row, step in enumerate(range(-limit, limit + 1)):
        moved = rotate(source, step / STEPS_PER_DEGREE, InterpolationMode.NEAREST, fill=0).view(-1).long()
        maps[row, :blank] = torch.where(moved == 0, blank, moved - 1)
    return maps
