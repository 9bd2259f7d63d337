"""Random greyscale: some images lose their colors.

    x̃ = 0.2989·R + 0.587·G + 0.114·B in every channel with probability p, else x

Reference: Chen, Kornblith, Norouzi and Hinton, 2020, "A simple framework for contrastive learning of visual
representations"; pixels as torchvision's ``rgb_to_grayscale``, without rounding to whole numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.colors import ColorOperation, luminance
from worker.spec.families.hooks import Rng
from worker.spec.part import PerRun, Stacked
from worker.spec.warps import per_image

if TYPE_CHECKING:
    from torch import Tensor


class Greyscale(ColorOperation):
    """Remove the colors of each training image with probability p."""

    equation: ClassVar[str] = "x̃ = 0.2989·R + 0.587·G + 0.114·B in every channel with probability p, else x"
    reference: ClassVar[str] = "Chen, Kornblith, Norouzi and Hinton 2020, A simple framework for contrastive learning"
    neutral: ClassVar[dict[str, float]] = {"p": 0.0}

    kind: Literal["greyscale"] = "greyscale"
    p: PerRun[float] = Field(
        default=0.2, ge=0, le=1, description="Probability of losing the colors; 0 leaves images alone."
    )

    @staticmethod
    def image(part: Stacked[Greyscale], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Replace every channel of the chosen rows by the luminance."""
        import torch

        return torch.where(per_image(rng.uniform() < part.column("p", 2)), luminance(x), x)
