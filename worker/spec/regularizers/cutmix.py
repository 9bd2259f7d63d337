"""CutMix: a piece of one picture in another, and labels by area.

    x̃ = M ⊙ x_j + (1 − M) ⊙ x_i,    t̃ = a·t_j + (1 − a)·t_i,    a the area of the rectangle M

The rectangle has the shape of the image and √(1 − λ) of its sides, λ ~ Beta(α, α), about a random centre, cut off at
the margin; j is another row of the batch, drawn for each row.

Reference: Yun, Han, Oh, Chun, Choe and Yoo, 2019, "CutMix: regularization strategy to train strong classifiers".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked
from worker.spec.warps import per_image

if TYPE_CHECKING:
    from torch import Tensor


class CutMix(ImageOperation):
    """Paste a rectangle of another image of the batch into each training image."""

    equation: ClassVar[str] = "x̃ = M ⊙ x_j + (1 − M) ⊙ x_i,  t̃ = a·t_j + (1 − a)·t_i"
    reference: ClassVar[str] = (
        "Yun, Han, Oh, Chun, Choe and Yoo 2019, CutMix: regularization strategy to train strong classifiers"
    )
    for_classes: ClassVar[bool] = True

    kind: Literal["cutmix"] = "cutmix"
    alpha: PerRun[float] = Field(default=1.0, gt=0, le=100, description="α of the Beta distribution of λ.")

    @staticmethod
    def mix(part: Stacked[CutMix], x: Tensor, targets: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """Every row with a partner and a rectangle of its own; ``x`` is (K, N, H, W) or (K, N, C, H, W)."""
        import torch

        height, width = x.shape[-2:]
        side = (1 - rng.beta("share", [one.alpha for one in part.parts])).sqrt()
        middle, centre = rng.uniform("middle") * height, rng.uniform("centre") * width
        top, bottom = ((middle + sign * side * height / 2).round().clamp(0, height) for sign in (-1, 1))
        left, right = ((centre + sign * side * width / 2).round().clamp(0, width) for sign in (-1, 1))
        area = ((bottom - top) * (right - left) / (height * width)).unsqueeze(2)
        i = torch.arange(height, device=x.device).view(-1, 1)
        j = torch.arange(width, device=x.device)
        top, bottom, left, right = map(per_image, (top, bottom, left, right))
        pasted = (i >= top) & (i < bottom) & (j >= left) & (j < right)
        other = (rng.uniform("partner") * x.shape[1]).long().clamp_max(x.shape[1] - 1).unsqueeze(2)
        images = x.view(*x.shape[:2], -1, height, width)
        theirs = images.flatten(2).gather(1, other.expand(*x.shape[:2], images[0, 0].numel())).view(images.shape)
        labels = targets.gather(1, other.expand(targets.shape))
        return torch.where(pasted, theirs, images).view(x.shape), labels * area + targets * (1 - area)
