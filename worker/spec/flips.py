"""Images flipped with some probability, over one of their axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class Flip(ImageOperation):
    """Turn each training image over with probability p."""

    neutral: ClassVar[dict[str, float]] = {"p": 0.0}
    axis: ClassVar[int]
    """0: top to bottom; 1: left to right."""

    p: PerRun[float] = Field(default=0.5, ge=0, le=1, description="Probability of a flip; 0 leaves images alone.")

    @property
    def map_count(self) -> int:
        """Number of the index maps."""
        return 2

    @staticmethod
    def pixel_maps(part: Stacked[Any], height: int, width: int) -> Tensor:
        """Two maps: left alone, and flipped."""
        import torch

        blank = height * width
        index = torch.arange(blank).view(height, width)
        outside = torch.tensor([blank])
        ways = (index, index.flip(part.implementation.axis))
        return torch.stack([torch.cat([way.reshape(-1), outside]) for way in ways])

    @staticmethod
    def choose_map(part: Stacked[Any], rng: Rng, count: int) -> Tensor:
        """1 for the rows that are flipped."""
        return (rng.uniform() < part.column("p", 2)).long()
