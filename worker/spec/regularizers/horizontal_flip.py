"""Random horizontal flip: what is seen from the other side is the same thing.

    x̃[i, j] = x[i, W − 1 − j] with probability p, else x[i, j]

Reference: Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep convolutional neural networks";
pixels as torchvision's ``hflip``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families import Draws, ImageOperation
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class HorizontalFlip(ImageOperation):
    """Mirror each training image, left to right, with probability p."""

    equation: ClassVar[str] = "x̃[i, j] = x[i, W − 1 − j] with probability p, else x[i, j]"
    reference: ClassVar[str] = "Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep CNNs"
    neutral: ClassVar[dict[str, float]] = {"p": 0.0}

    kind: Literal["horizontal_flip"] = "horizontal_flip"
    p: PerRun[float] = Field(default=0.5, ge=0, le=1, description="Probability of a flip; 0 leaves images alone.")

    @staticmethod
    def moves(part: Stacked[HorizontalFlip], height: int, width: int) -> Tensor:
        """Two maps: left alone, and flipped."""
        import torch

        blank = height * width
        index = torch.arange(blank).view(height, width)
        outside = torch.tensor([blank])
        return torch.stack([torch.cat([way.reshape(-1), outside]) for way in (index, index.flip(1))])

    @staticmethod
    def choose(part: Stacked[HorizontalFlip], draws: Draws, count: int) -> Tensor:
        """1 for the rows that are flipped."""
        return (draws.uniform() < part.column("p", 2)).long()
