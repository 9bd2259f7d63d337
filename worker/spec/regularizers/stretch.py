"""Random stretch: the same thing, a little broader or slimmer.

    x̃(u, v) = x(u·s, v / s),  log s ~ U(−log factor, log factor),  nearest pixel, outside is black

s is drawn in steps of 1 %. Pixels are moved, not interpolated.

Reference: Simard, Steinkraus and Platt, 2003, "Best practices for convolutional neural networks applied to visual
document analysis" (affine distortions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked
from worker.spec.warps import STEP, scaled, steps

if TYPE_CHECKING:
    from torch import Tensor


class Stretch(ImageOperation):
    """Make each training image wider and lower, or narrower and higher, at random."""

    equation: ClassVar[str] = "x̃(u, v) = x(u·s, v / s),  log s ~ U(−log factor, log factor)"
    reference: ClassVar[str] = "Simard, Steinkraus and Platt 2003, Best practices for convolutional neural networks"
    neutral: ClassVar[dict[str, float]] = {"factor": 1.0}

    kind: Literal["stretch"] = "stretch"
    factor: PerRun[float] = Field(
        ge=1, le=4, examples=[1.2], description="The largest s; the smallest is 1 / factor. 1 leaves images alone."
    )

    @property
    def map_count(self) -> int:
        """Number of the index maps."""
        return 2 * steps(self.factor) + 1

    @staticmethod
    def pixel_maps(part: Stacked[Stretch], height: int, width: int) -> Tensor:
        """One map for each step of 1 %, up to the largest ``factor`` in the stack; the middle map is the identity."""
        largest = steps(max(one.factor for one in part.parts))
        sizes = [STEP**i for i in range(-largest, largest + 1)]
        return scaled(height, width, [(1 / s, s) for s in sizes])

    @staticmethod
    def choose_map(part: Stacked[Stretch], rng: Rng, count: int) -> Tensor:
        """The map of each row's size."""
        if "limit" not in part.cache:
            part.cache["limit"] = part.factor.new_tensor([steps(one.factor) for one in part.parts]).unsqueeze(1)
        limit = part.cache["limit"]
        return ((rng.uniform() * (2 * limit + 1)).floor() - limit).long() + count // 2
