"""Image operations that are drawn from a set, with their strengths on a common scale.

Reference: Cubuk, Zoph, Mané, Vasudevan and Le, 2019, "AutoAugment: learning augmentation strategies from data" (the
operations); directions and ranges as in torchvision.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.spec import pixels
from worker.spec.warps import per_image

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Change = Callable[["Tensor", "Tensor", float], "Tensor"]
CHANGES: dict[str, Change] = {
    "shear_x": lambda x, values, white: pixels.moved(x, values),
    "shear_y": lambda x, values, white: pixels.moved(x, values),
    "translate_x": lambda x, values, white: pixels.moved(x, values),
    "translate_y": lambda x, values, white: pixels.moved(x, values),
    "rotate": lambda x, values, white: pixels.moved(x, values),
    "brightness": lambda x, values, white: pixels.brightened(x, values[:, 0], white),
    "color": lambda x, values, white: pixels.saturated(x, values[:, 0], white),
    "contrast": lambda x, values, white: pixels.contrasted(x, values[:, 0], white),
    "sharpness": lambda x, values, white: pixels.sharpened(x, values[:, 0], white),
    "posterize": lambda x, values, white: pixels.posterized(x, values[:, 0], white),
    "solarize": lambda x, values, white: pixels.solarized(x, values[:, 0], white),
    "auto_contrast": lambda x, values, white: pixels.auto_contrasted(x, white),
    "equalize": lambda x, values, white: pixels.equalized(x, white),
}
"""Each operation, given images (M, C, H, W), a row of its table for each of them, and the raw value of white."""


@dataclass(frozen=True)
class Policy:
    """How far operations go at the last of ``levels`` levels; at level 0 they do least."""

    shear: float
    """Pixels that a row moves for each pixel below the top."""
    translate: Callable[[int], float]
    """Pixels of a shift, given the length of the side along which it goes."""
    degrees: float
    """Angle of a rotation."""
    factor: float
    """Distance from 1 of the factors of brightness, color, contrast and sharpness."""
    bits: tuple[int, int]
    """Bits of a pixel's byte that posterizing keeps at the first and at the last level."""
    levels: int = 31

    def values(self, name: str, level: int, sign: int, height: int, width: int) -> list[float]:
        """Return the numbers of the operation ``name`` at one level, for images of this size."""
        share = level / (self.levels - 1)
        v = sign * share * self.shear
        across, down = (int(share * self.translate(side)) * sign for side in (width, height))
        angle = math.radians(sign * share * self.degrees)
        cos, sin = math.cos(angle), math.sin(angle)
        first, last = self.bits
        moves: dict[str, list[float]] = {
            "shear_x": [1, v, v * height / 2, 0, 1, 0],
            "shear_y": [1, 0, 0, v, 1, v * width / 2],
            "translate_x": [1, 0, -across, 0, 1, 0],
            "translate_y": [1, 0, 0, 0, 1, -down],
            "rotate": [cos, -sin, 0, sin, cos, 0],
            "posterize": [first - round(share * (first - last))],
            "solarize": [1 - share],
        }
        return moves.get(name, [1 + sign * share * self.factor])


def changed(policy: Policy, x: Tensor, operation: Tensor, level: Tensor, negative: Tensor, white: float) -> Tensor:
    """Return images ``x`` (K, N, C, H, W), each after the operation of its number in the order of ``CHANGES``.

    ``operation`` and ``level`` (K, N) are int64; an image whose number is that of no operation stays as it is.
    Operations with a direction go backwards where ``negative`` (K, N).
    """
    images, operations = x.flatten(0, 1), operation.flatten()
    place = (level + policy.levels * negative).flatten()
    apply = by_rows if x.device.type == "cpu" else everywhere
    result = images.clone()
    for number, (name, change) in enumerate(CHANGES.items()):
        table = _table(policy, name, x.shape[-2], x.shape[-1], x.device)
        result = apply(change, images, table, place, white, operations == number, result)
    return result.view(x.shape)


def by_rows(
    change: Change, images: Tensor, table: Tensor, place: Tensor, white: float, chosen: Tensor, result: Tensor
) -> Tensor:
    """Return ``result`` with the ``chosen`` ones of ``images`` (M, C, H, W) changed, and compute no others."""
    rows = chosen.nonzero().squeeze(1)
    if len(rows):
        result.index_copy_(0, rows, change(images.index_select(0, rows), table.index_select(0, place[rows]), white))
    return result


def everywhere(
    change: Change, images: Tensor, table: Tensor, place: Tensor, white: float, chosen: Tensor, result: Tensor
) -> Tensor:
    """Return the same, computed for all images: the program need not wait until a GPU has counted the chosen ones."""
    import torch

    return torch.where(per_image(chosen), change(images.clone(), table.index_select(0, place), white), result)


@functools.lru_cache(maxsize=256)
def _table(policy: Policy, name: str, height: int, width: int, device: torch.device) -> Tensor:
    """The numbers of the operation ``name`` at each level, forwards and then backwards, (2·levels, numbers)."""
    import torch

    rows = [policy.values(name, level, sign, height, width) for sign in (1, -1) for level in range(policy.levels)]
    return torch.tensor(rows, dtype=torch.float32, device=device)
