"""Random blur: the same thing out of focus.

    x̃ = G_σ ∗ x,    σ ~ U(0.1, sigma),  G_σ cut off at ``kernel_size`` pixels, the margin mirrored

Reference: Chen, Kornblith, Norouzi and Hinton, 2020, "A simple framework for contrastive learning of visual
representations"; pixels as torchvision's ``gaussian_blur``, without rounding to whole numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked
from worker.spec.sums import summed
from worker.spec.warps import per_image

if TYPE_CHECKING:
    from torch import Tensor


class Blur(ImageOperation):
    """Blur each training image with a Gaussian of random width."""

    equation: ClassVar[str] = "x̃ = G_σ ∗ x,  σ ~ U(0.1, sigma)"
    reference: ClassVar[str] = "Chen, Kornblith, Norouzi and Hinton 2020, A simple framework for contrastive learning"

    kind: Literal["blur"] = "blur"
    sigma: PerRun[float] = Field(default=1.0, ge=0.1, le=10, description="The largest standard deviation, in pixels.")
    kernel_size: Literal[3, 5, 7] = Field(default=3, description="Width of the Gaussian, in pixels.")

    @staticmethod
    def image(part: Stacked[Blur], x: Tensor, rng: Rng, white: float) -> Tensor:
        """First down, then across, with each row's own Gaussian."""
        import torch

        radius = part.kernel_size // 2
        sigma = 0.1 + rng.uniform() * (part.column("sigma", 2) - 0.1)
        offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
        taps = (-0.5 * (offsets / sigma.unsqueeze(2)).square()).exp_()
        taps /= summed(taps)
        for dimension in (3, 4):
            size = x.shape[dimension]
            # mirrored without repeating the margin: −1 is 1, size is size − 2
            places = [(torch.arange(size, device=x.device) + d).abs() for d in range(-radius, radius + 1)]
            places = [torch.where(place >= size, 2 * (size - 1) - place, place) for place in places]
            total = torch.zeros_like(x)
            for tap, place in enumerate(places):
                total += per_image(taps[:, :, tap]) * x.index_select(dimension, place)
            x = total
        return x
