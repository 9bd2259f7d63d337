"""Sums whose bits depend only on the numbers, not on K, threads or library."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def weighted(x: Tensor, weights: Tensor | None) -> Tensor:
    """Return ``x`` (K, N) times ``weights`` (K, N), if they are not None."""
    return x if weights is None else x * weights


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


class FixedPoint(NamedTuple):
    """Matrices as whole numbers times a unit, few enough digits for exact sums of products in float64."""

    whole: Tensor
    """The whole numbers, (K, m, n) in float64."""
    unit: Tensor
    """(K, 1, 1)."""

    @property
    def transposed(self) -> FixedPoint:
        """The matrices (K, n, m)."""
        return FixedPoint(self.whole.transpose(1, 2), self.unit)

    def times(self, other: FixedPoint) -> Tensor:
        """Return the product with matrices (K, n, p), (K, m, p) in float64, with the same bits on any library."""
        import torch

        return torch.bmm(self.whole, other.whole).mul_(self.unit * other.unit)


def fixed_point(x: Tensor, terms: int) -> FixedPoint:
    """Return matrices ``x`` (K, m, n), rounded so that any sum of up to ``terms`` products of them is exact.

    All partial sums are whole numbers up to 2⁵³, so the bits of a product depend neither on K nor on threads or
    library. For 1000 terms, numbers are rounded to multiples of 2⁻²¹ of the largest in their matrix.

    Reference: Ozaki, Ogita, Oishi and Rump, 2012, "Error-free transformations of matrix multiplication by using fast
    routines of matrix multiplication and its applications".
    """
    import torch

    digits = (53 - max(terms - 1, 0).bit_length()) // 2
    unit = (x.abs().amax((1, 2), keepdim=True).double() / 2**digits).clamp_min(1e-300)
    return FixedPoint(x.to(torch.float64, copy=True).div_(unit).round_(), unit)


def joint_norm(tensors: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all ``tensors`` (K, …) of each run together, (K, 1), one tensor after the other."""
    squares = summed(tensors[0].square().flatten(1))
    for x in tensors[1:]:
        squares = squares + summed(x.square().flatten(1))
    return squares.sqrt()
