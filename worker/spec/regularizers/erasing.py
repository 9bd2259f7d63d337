"""Random erasing: a part of the picture is hidden.

    a rectangle of a share s ~ U(smallest, largest) of the area, with log of height/width ~ U(log 0.3, log 3.3), at a
    random place, becomes black with probability p

Reference: Zhong, Zheng, Kang, Li and Yang, 2020, "Random erasing data augmentation".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import Objection, PerRun, Stacked
from worker.spec.warps import per_image

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec

LOG_RATIO = math.log(0.3), math.log(3.3)


class Erasing(ImageOperation):
    """Blacken a random rectangle of each training image with probability p."""

    equation: ClassVar[str] = "x̃[i, j] = 0 in a random rectangle, with probability p"
    reference: ClassVar[str] = "Zhong, Zheng, Kang, Li and Yang 2020, Random erasing data augmentation"
    neutral: ClassVar[dict[str, float]] = {"p": 0.0}

    kind: Literal["erasing"] = "erasing"
    p: PerRun[float] = Field(default=0.5, ge=0, le=1, description="Probability of being erased; 0 leaves images alone.")
    smallest: PerRun[float] = Field(default=0.02, gt=0, le=1, description="Least share of the area.")
    largest: PerRun[float] = Field(default=0.33, gt=0, le=1, description="Greatest share of the area.")

    def objections(self, run: RunSpec) -> list[Objection]:
        """Refuse shares in the wrong order, besides data that are no images."""
        objections = list(super().objections(run))
        if self.smallest > self.largest:
            message = f"smallest ({self.smallest:g}) is above largest ({self.largest:g}); exchange the two."
            objections.append(Objection(field="smallest", message=message))
        return objections

    @staticmethod
    def image(part: Stacked[Erasing], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every row with its own rectangle."""
        import torch

        height, width = x.shape[-2:]
        low, high = part.column("smallest", 2), part.column("largest", 2)
        area = (low + rng.uniform("area") * (high - low)) * (height * width)
        ratio = (LOG_RATIO[0] + rng.uniform("ratio") * (LOG_RATIO[1] - LOG_RATIO[0])).exp()
        tall = (area * ratio).sqrt().round().clamp(1, height)
        wide = (area / ratio).sqrt().round().clamp(1, width)
        top = (rng.uniform("top") * (height - tall + 1)).floor()
        left = (rng.uniform("left") * (width - wide + 1)).floor()
        i = torch.arange(height, device=x.device).view(-1, 1)
        j = torch.arange(width, device=x.device)
        top, left, tall, wide = map(per_image, (top, left, tall, wide))
        erased = (i >= top) & (i < top + tall) & (j >= left) & (j < left + wide)
        chosen = per_image(rng.uniform("p") < part.column("p", 2))
        return x.masked_fill_(erased & chosen, 0)
