"""Image operations that only move pixels, as index maps, and their application.

A map of an image with H·W pixels has H·W + 1 entries: pixel i of the result is pixel ``map[i]`` of the source. The last
pixel is blank (raw value 0), the source of pixels outside the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from worker.spec.families.hooks import Rng, defines
from worker.spec.part import Stacked

if TYPE_CHECKING:
    from torch import Tensor


STEP = 1.01
"""Sizes of images are powers of this."""


def steps(factor: float) -> int:
    """Return the number of steps of 1 % from 1 to ``factor``."""
    return int(math.log(factor) / math.log(STEP) + 1e-9)


def scaled(height: int, width: int, factors: Sequence[tuple[float, float]]) -> Tensor:
    """Return maps (len(factors), H·W + 1) that stretch an image about its center by (vertical, horizontal)."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    blank = height * width
    source = (torch.arange(blank, dtype=torch.float32) + 1).view(1, 1, height, width).expand(len(factors), 1, -1, -1)
    theta = torch.zeros(len(factors), 2, 3)
    theta[:, 0, 0] = torch.tensor([1 / horizontal for _, horizontal in factors])
    theta[:, 1, 1] = torch.tensor([1 / vertical for vertical, _ in factors])
    grid = affine_grid(theta, [len(factors), 1, height, width], align_corners=False)
    moved = grid_sample(source, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return with_blank(moved.view(len(factors), blank).long() - 1, blank)


def with_blank(maps: Tensor, blank: int) -> Tensor:
    """Return ``maps`` (A, H·W), −1 for outside the image, with the blank pixel added: (A, H·W + 1)."""
    import torch

    maps = torch.where(maps < 0, blank, maps)
    return torch.cat([maps, torch.full((len(maps), 1), blank)], 1)


def per_image(values: Tensor) -> Tensor:
    """Return one value of each image (K, N), shaped to broadcast over images (K, N, C, H, W)."""
    return values.view(*values.shape, 1, 1, 1)


def apply(part: Stacked[Any], x: Tensor, rng: Rng, white: float) -> Tensor:
    """Apply an image operation to images of raw floats, (K, N, C, H, W)."""
    if defines(part.implementation, "image"):
        changed: Tensor = part.image(x, rng, white)
        return changed
    height, width = x.shape[-2:]
    if "maps" not in part.cache:
        part.cache["maps"] = part.pixel_maps(height, width).to(x.device)
    maps = part.cache["maps"]
    chosen = part.choose_map(rng, len(maps))
    index = maps.index_select(0, chosen.view(-1)).view(*chosen.shape, 1, -1)[..., :-1]
    flat = x.new_zeros((*x.shape[:3], height * width + 1))
    flat[..., :-1] = x.flatten(3)
    return flat.gather(3, index.expand(*x.shape[:3], -1)).view(x.shape)
