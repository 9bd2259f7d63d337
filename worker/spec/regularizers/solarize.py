"""Random solarizing: bright pixels of some images are inverted.

    x̃ = white − x where x ≥ threshold·white, else x,    with probability p

Reference: Grill et al., 2020, "Bootstrap your own latent: a new approach to self-supervised learning" (p = 0.2); pixels
as torchvision's ``solarize``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked
from worker.spec.pixels import solarized
from worker.spec.warps import per_image

if TYPE_CHECKING:
    from torch import Tensor


class Solarize(ImageOperation):
    """Invert the bright pixels of each training image with probability p."""

    equation: ClassVar[str] = "x̃ = white − x where x ≥ threshold·white, else x, with probability p"
    reference: ClassVar[str] = (
        "Grill et al. 2020, Bootstrap your own latent: a new approach to self-supervised learning"
    )
    neutral: ClassVar[dict[str, float]] = {"p": 0.0}

    kind: Literal["solarize"] = "solarize"
    p: PerRun[float] = Field(
        default=0.2, ge=0, le=1, description="Probability of being solarized; 0 leaves images alone."
    )
    threshold: PerRun[float] = Field(
        default=0.5, ge=0, le=1, description="Share of white from which pixels are inverted; 0 inverts all of them."
    )

    @staticmethod
    def image(part: Stacked[Solarize], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Invert pixels of the chosen rows."""
        import torch

        chosen = per_image(rng.uniform() < part.column("p", 2))
        return torch.where(chosen, solarized(x, part.column("threshold", 2), white), x)
