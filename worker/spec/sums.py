"""Sums whose bits depend on nothing but the numbers: not on K, not on threads, not on the library's mood."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def ordered_sum(x: Tensor) -> Tensor:
    """Sum of ``x`` (K, n) over n in float64, shape (K,): halves are added elementwise until one column is left."""
    import torch

    width = 1 << max(x.shape[1] - 1, 0).bit_length()
    total = torch.zeros((x.shape[0], width), dtype=torch.float64, device=x.device)
    total[:, : x.shape[1]] = x
    while width > 1:
        width //= 2
        total = total[:, :width] + total[:, width:]
    return total[:, 0]


def ordered_mean(x: Tensor) -> Tensor:
    """Mean of ``x`` (K, n) over n in float64, shape (K,)."""
    return ordered_sum(x) / x.shape[1]


def summed(x: Tensor) -> Tensor:
    """Sum of ``x`` (…, n) over n in its own precision, shape (…, 1); halves are added elementwise, odd ends at last."""
    while (width := x.shape[-1]) > 1:
        half = width // 2
        added = x[..., :half] + x[..., half : 2 * half]
        if width % 2:
            added[..., :1] += x[..., -1:]
        x = added
    return x
