"""Sums whose bits depend only on the numbers, not on K, threads or library."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def ordered_sum(x: Tensor) -> Tensor:
    """Return the sum of ``x`` (K, n) over n in float64, shape (K,), adding halves elementwise."""
    import torch

    width = 1 << max(x.shape[1] - 1, 0).bit_length()
    total = torch.zeros((x.shape[0], width), dtype=torch.float64, device=x.device)
    total[:, : x.shape[1]] = x
    while width > 1:
        width //= 2
        total = total[:, :width] + total[:, width:]
    return total[:, 0]


def ordered_mean(x: Tensor) -> Tensor:
    """Return the mean of ``x`` (K, n) over n in float64, shape (K,)."""
    return ordered_sum(x) / x.shape[1]


def weighted_mean(x: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean of ``x`` (K, n) over n in float64, shape (K,), with ``weights`` (K, n) if they are not None."""
    return ordered_mean(x) if weights is None else ordered_sum(x * weights) / ordered_sum(weights)


def counted(labels: Tensor, weights: Tensor | None, classes: int) -> Tensor:
    """Return the rows of each class, (classes,) float64, given labels (n,), or the sum of their ``weights`` (n,)."""
    import torch

    if weights is None:
        counts = torch.zeros(classes, dtype=torch.int64, device=labels.device)
        return counts.scatter_add_(0, labels, torch.ones_like(labels)).double()
    sums = torch.bincount(labels.cpu(), weights.cpu(), minlength=classes)  # only a CPU adds in the order of the rows
    return sums.to(labels.device)


def summed(x: Tensor, dim: int = -1) -> Tensor:
    """Return the sum of ``x`` over ``dim``, which is kept with size 1, in its own precision.

    Halves are added elementwise, odd ends last.
    """
    while (width := x.shape[dim]) > 1:
        half = width // 2
        added = x.narrow(dim, 0, half) + x.narrow(dim, half, half)
        if width % 2:
            added.narrow(dim, 0, 1).add_(x.narrow(dim, width - 1, 1))
        x = added
    return x
