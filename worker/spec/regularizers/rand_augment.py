"""RandAugment: a few operations drawn at random, all equally strong.

    x̃ = T_n(… T_1(x)),    each T_i uniform among 14, with one strength for all

The operations are shear and translation (both ways), rotation, brightness, color, contrast, sharpness, posterizing,
solarizing, auto-contrast, equalizing and none. Those with a direction go either way. Pixels are moved, not
interpolated, and outside is black. On grey images, color does nothing.

Reference: Cubuk, Zoph, Shlens and Le, 2020, "RandAugment: practical automated data augmentation with a reduced search
space"; operations and strengths as torchvision's ``RandAugment``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.augmentations import CHANGES, Policy, changed
from worker.spec.families.hooks import Rng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor

POLICY = Policy(shear=0.3, translate=lambda side: 150 / 331 * side, degrees=30, factor=0.9, bits=(8, 4))


class RandAugment(ImageOperation):
    """Apply some operations, drawn at random for each training image, with one strength."""

    equation: ClassVar[str] = "x̃ = T_n(… T_1(x)),  each T_i uniform among 14"
    reference: ClassVar[str] = "Cubuk, Zoph, Shlens and Le 2020, RandAugment: practical automated data augmentation"

    kind: Literal["rand_augment"] = "rand_augment"
    operations: int = Field(default=2, ge=1, le=8, description="n, how many operations follow each other.")
    magnitude: PerRun[int] = Field(
        default=9, ge=0, le=POLICY.levels - 1, description="Strength of the operations: 30 is the strongest."
    )

    @staticmethod
    def image(part: Stacked[RandAugment], x: Tensor, rng: Rng, white: float) -> Tensor:
        """Every row with its own operations."""
        for i in range(part.operations):
            operation = (rng.uniform(f"operation{i}") * (len(CHANGES) + 1)).long()
            level = part.column("magnitude", 2).long().expand(operation.shape)
            x = changed(POLICY, x, operation, level, rng.uniform(f"direction{i}") < 0.5, white)
        return x
