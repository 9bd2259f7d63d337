"""Image operations on colors, and the luminance that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import Objection

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec

LUMINANCE = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601), rounded as in torchvision's ``rgb_to_grayscale``."""


class ColorOperation(ImageOperation):
    """An image operation on red, green and blue, which refuses grey images."""

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse rows that are not images, and grey images."""
        shape = run.dataset.shape
        if len(shape) < 2 or (len(shape) == 3 and shape[0] == len(LUMINANCE)):
            return super().objections(run)
        message = (
            f"{getattr(self, 'kind', '')!r} changes colors, but the images of {run.dataset.kind!r} are grey "
            f"(shape {list(shape)}); leave it out, or use 'brightness' or 'contrast'."
        )
        return [Objection(field=None, message=message)]


def luminance(x: Tensor) -> Tensor:
    """Return the luminance (…, 1, H, W) of images (…, C, H, W); grey images are their own."""
    if x.shape[-3] != len(LUMINANCE):
        return x
    red, green, blue = x.unbind(-3)
    return (LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue).unsqueeze(-3)
