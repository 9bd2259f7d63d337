"""TrivialAugment: one operation for each image, at a random strength. There is nothing to tune.

    x̃ = T_m(x),    T uniform among 14 operations,  m uniform among 31 strengths

The operations are those of ``rand_augment``, with wider ranges: up to 135° of rotation, and a shift of up to 32 pixels
or the whole image, if that is smaller.

Reference: Müller and Hutter, 2021, "TrivialAugment: tuning-free yet state-of-the-art data augmentation"; operations and
strengths as torchvision's ``TrivialAugmentWide``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.augmentations import CHANGES, Policy, changed
from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import Stacked

if TYPE_CHECKING:
    from torch import Tensor

POLICY = Policy(shear=0.99, translate=lambda side: min(32, side), degrees=135, factor=0.99, bits=(8, 2))


class TrivialAugment(ImageOperation):
    """Apply one operation of random strength to each training image."""

    equation: ClassVar[str] = "x̃ = T_m(x),  T uniform among 14,  m uniform among 31"
    reference: ClassVar[str] = "Müller and Hutter 2021, TrivialAugment: tuning-free yet state-of-the-art augmentation"

    kind: Literal["trivial_augment"] = "trivial_augment"

    @staticmethod
    def image(part: Stacked[TrivialAugment], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every row with its own operation and strength."""
        operation = (rng.uniform("operation") * (len(CHANGES) + 1)).long()
        level = (rng.uniform("strength") * POLICY.levels).long()
        return changed(POLICY, x, operation, level, rng.uniform("direction") < 0.5, white)
