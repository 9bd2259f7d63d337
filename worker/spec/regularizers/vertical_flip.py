"""Random vertical flip: for things that have no up and down, or to see what a wrong augmentation does.

    x̃[i, j] = x[H − 1 − i, j] with probability p, else x[i, j]

Reference: Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep convolutional neural networks";
pixels as torchvision's ``vflip``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families import Draws, ImageOperation
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class VerticalFlip(ImageOperation):
    """Turn each training image upside down with probability p."""

    equation: ClassVar[str] = "x̃[i, j] = x[H − 1 − i, j] with probability p, else x[i, j]"
    reference: ClassVar[str] = "Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep CNNs"
    neutral: ClassVar[dict[str, float]] = {"p": 0.0}

    kind: Literal["vertical_flip"] = "vertical_flip"
    p: PerRun[float] = Field(default=0.5, ge=0, le=1, description="Probability of a flip; 0 leaves images alone.")

    @staticmethod
    def moves(part: Stacked[VerticalFlip], height: int, width: int) -> Tensor:
        """Two maps: left alone, and flipped."""
        import torch

        blank = height * width
        index = torch.arange(blank).view(height, width)
        outside = torch.tensor([blank])
        return torch.stack([torch.cat([way.reshape(-1), outside]) for way in (index, index.flip(0))])

    @staticmethod
    def choose(part: Stacked[VerticalFlip], draws: Draws, count: int) -> Tensor:
        """1 for the rows that are flipped."""
        return (draws.uniform() < part.column("p", 2)).long()
