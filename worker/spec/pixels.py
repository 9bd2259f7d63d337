"""Functions of pixels for image operations, each image with a number of its own.

Images are (…, C, H, W) with raw values from 0 to ``white``, one number for each is (…); images may be overwritten.
Pixels are those of torchvision's functions, without rounding to whole numbers where these would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.colors import luminance
from worker.spec.sums import summed
from worker.spec.warps import per_image

if TYPE_CHECKING:
    from torch import Tensor

BYTE = 255
"""White, as a byte."""


def brightened(x: Tensor, factor: Tensor, white: float) -> Tensor:
    """Return the images in another light, like ``adjust_brightness``."""
    return x.mul_(per_image(factor)).clamp_(0, white)


def contrasted(x: Tensor, factor: Tensor, white: float) -> Tensor:
    """Return the images with their distances from the mean of their luminance scaled, like ``adjust_contrast``."""
    factor = per_image(factor)
    mean = per_image(summed(luminance(x).flatten(-3)).squeeze(-1) / (x.shape[-2] * x.shape[-1]))
    return x.mul_(factor).add_((1 - factor) * mean).clamp_(0, white)


def saturated(x: Tensor, factor: Tensor, white: float) -> Tensor:
    """Return the images with paler or stronger colors, like ``adjust_saturation``; grey ones stay as they are."""
    if x.shape[-3] == 1:
        return x
    factor, grey = per_image(factor), luminance(x)
    return x.mul_(factor).add_((1 - factor) * grey).clamp_(0, white)


def sharpened(x: Tensor, factor: Tensor, white: float) -> Tensor:
    """Return the images with edges that stand out more or less, like ``adjust_sharpness``."""
    factor, blurred = per_image(factor), x.clone()
    height, width = x.shape[-2:]
    inner = 4 * x[..., 1:-1, 1:-1]
    for i in range(3):
        for j in range(3):
            inner = inner + x[..., i : height - 2 + i, j : width - 2 + j]
    blurred[..., 1:-1, 1:-1] = inner / 13
    return x.mul_(factor).add_(blurred.mul_(1 - factor)).clamp_(0, white)


def posterized(x: Tensor, bits: Tensor, white: float) -> Tensor:
    """Return the images with the first ``bits`` bits of each pixel's byte, like ``posterize``."""
    import torch

    bits = per_image(bits)
    step = torch.ones_like(bits, dtype=torch.int64) << (8 - bits).long()
    coarse = ((x * (BYTE / white)).round() / step).floor() * step * (white / BYTE)
    return torch.where(bits < 8, coarse, x)


def solarized(x: Tensor, threshold: Tensor, white: float) -> Tensor:
    """Return the images with all pixels inverted that are not below ``threshold`` · white, like ``solarize``."""
    import torch

    return torch.where(x >= per_image(threshold * white), white - x, x)


def auto_contrasted(x: Tensor, white: float) -> Tensor:
    """Return the images with each channel stretched to reach from 0 to ``white``, like ``autocontrast``."""
    import torch

    low, high = x.amin((-2, -1), keepdim=True), x.amax((-2, -1), keepdim=True)
    stretched = ((x - low) * (white / torch.where(high > low, high - low, 1))).clamp_(0, white)
    return torch.where(high > low, stretched, x)


def equalized(x: Tensor, white: float) -> Tensor:
    """Return the images with each channel's values spread evenly, like ``equalize`` and Pillow."""
    import torch

    values = (x * (BYTE / white)).round_().long().flatten(-2)
    counts = values.new_zeros((*values.shape[:-1], BYTE + 1)).scatter_add_(-1, values, torch.ones_like(values))
    below = counts.cumsum(-1) - counts
    brightest = counts.gather(-1, values.amax(-1, keepdim=True))
    step = (values.shape[-1] - brightest) // BYTE
    table = ((below + step // 2) // step.clamp_min(1)).clamp_(0, BYTE)
    spread = (table.gather(-1, values) * (white / BYTE)).to(x.dtype).view(x.shape)
    return torch.where(step.unsqueeze(-1) > 0, spread, x)


def moved(x: Tensor, matrices: Tensor) -> Tensor:
    """Return images (M, C, H, W) under affine maps, nearest pixel, black outside.

    Pixel (u, v) of image m, counted from its center, is pixel (a·u + b·v + c, d·u + e·v + f) of the source, where
    ``matrices[m]`` is (a, b, c, d, e, f); u runs to the right and v downwards.
    """
    import torch

    height, width = x.shape[-2:]
    u = torch.arange(width, device=x.device, dtype=x.dtype) - (width - 1) / 2
    v = (torch.arange(height, device=x.device, dtype=x.dtype) - (height - 1) / 2).view(-1, 1)
    a, b, c, d, e, f = matrices.view(len(x), 6, 1, 1).unbind(1)
    column = (a * u + b * v + (c + (width - 1) / 2)).round().long()
    row = (d * u + e * v + (f + (height - 1) / 2)).round().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = torch.where(inside, row * width + column, height * width).view(len(x), 1, -1)
    flat = torch.cat([x.flatten(2), x.new_zeros((*x.shape[:2], 1))], 2)
    return flat.gather(2, index.expand(-1, x.shape[1], -1)).view(x.shape)
