"""Random resized crop: a part of the image, enlarged to the size of the whole.

    x̃ = resize(x[top … top + h, left … left + w], (H, W)),    h·w = s·H·W,  s ~ U(smallest, 1),  w/h in [1/ratio, ratio]

The logarithm of w/h is uniform between the bounds, as far as such a rectangle fits into the image. Sides are whole
pixels, the place is uniform. Pixels are interpolated linearly.

Reference: Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, 2015, "Going deeper with
convolutions"; pixels as torchvision's ``resized_crop``, without rounding to whole numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class RandomResizedCrop(ImageOperation):
    """Cut a random part out of each training image and enlarge it to the image's size."""

    equation: ClassVar[str] = "x̃ = resize(x[top … top + h, left … left + w], (H, W)),  h·w = s·H·W,  s ~ U(smallest, 1)"
    reference: ClassVar[str] = "Szegedy et al. 2015, Going deeper with convolutions"
    neutral: ClassVar[dict[str, float]] = {"smallest": 1.0}

    kind: Literal["random_resized_crop"] = "random_resized_crop"
    smallest: PerRun[float] = Field(
        default=0.08, gt=0, le=1, description="Least share of the area; 1 leaves images alone."
    )
    ratio: PerRun[float] = Field(
        default=4 / 3, ge=1, le=10, description="The largest width divided by height; the smallest is 1 / ratio."
    )

    @staticmethod
    def image(part: Stacked[RandomResizedCrop], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every row with its own rectangle."""
        height, width = x.shape[-2:]
        smallest, ratio = part.column("smallest", 2), part.column("ratio", 2)
        area = (smallest + rng.uniform("area") * (1 - smallest)) * (height * width)
        narrowest, widest = (side.clamp(area / height**2, width**2 / area).log() for side in (1 / ratio, ratio))
        aspect = (narrowest + rng.uniform("ratio") * (widest - narrowest)).exp()
        tall = (area / aspect).sqrt().round().clamp(1, height)
        wide = (area * aspect).sqrt().round().clamp(1, width)
        top = (rng.uniform("top") * (height - tall + 1)).floor()
        left = (rng.uniform("left") * (width - wide + 1)).floor()
        return stretched(stretched(x, top, tall, 3), left, wide, 4)


def stretched(x: Tensor, first: Tensor, size: Tensor, dim: int) -> Tensor:
    """Return images (K, N, C, H, W) whose pixels first … first + size − 1 along ``dim`` fill all of it.

    ``first`` and ``size`` (K, N) are whole numbers. The margin of the part is repeated, as in torch's ``interpolate``.
    """
    import torch

    count = x.shape[dim]
    place = (torch.arange(count, device=x.device) + 0.5) * (size / count).unsqueeze(2) - 0.5
    place = place.clamp_min(0)
    before = place.floor().minimum((size - 1).unsqueeze(2))
    after = (before + 1).minimum((size - 1).unsqueeze(2))
    shape = [*x.shape[:2], 1, 1, 1]
    shape[dim] = count
    share = (place - before).view(shape)
    low, high = (x.gather(dim, (first.unsqueeze(2) + near).long().view(shape).expand_as(x)) for near in (before, after))
    return low + share * (high - low)
