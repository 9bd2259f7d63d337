"""Hooks, which are methods of a family that a part may leave out, and the random numbers that they get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from worker.spec.part import Part

if TYPE_CHECKING:
    from torch import Tensor


def hook(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a family's method as one that a part may leave out."""
    method.__dict__["is_unused_hook"] = True
    return method


def defines(part: type[Part], name: str) -> bool:
    """Return whether this part defines the hook ``name``."""
    return not getattr(getattr(part, name), "is_unused_hook", False)


class Rng(Protocol):
    """Random numbers for the rows of the current batch, from streams of one part of each run.

    They depend only on the run's seed, the part, the epoch, the row's position in the epoch and ``name``, never on the
    stack, the batch size or the threads. Numbers for a whole batch depend on the position of its first row.
    """

    def uniform(self, name: str = "") -> Tensor:
        """Return one number in [0, 1) for each row, shape (K, N), in steps of 2⁻²⁴."""

    def int16(self, name: str, width: int) -> Tensor:
        """Return ``width`` numbers for each row, uniform over all int16 values, shape (K, N, width)."""

    def normal(self, name: str, width: int) -> Tensor:
        """Return ``width`` standard normal numbers for each row, shape (K, N, width)."""

    def beta(self, name: str, shapes: Sequence[float]) -> Tensor:
        """Return one number from Beta(a, a) for each row, shape (K, N); ``shapes`` holds each run's a."""

    def batch_int16(self, name: str, width: int) -> Tensor:
        """Return ``width`` numbers for the whole batch, uniform over all int16 values, (K, width)."""

    def batch_normal(self, name: str, width: int) -> Tensor:
        """Return ``width`` standard normal numbers for the whole batch, (K, width)."""

    def dirichlet(self, name: str, shapes: Sequence[float], width: int) -> Tensor:
        """Return ``width`` numbers from Dirichlet(a, …, a) for each row, (K, N, width), likewise."""

    def child(self, name: str) -> Rng:
        """Return the Rng of a part inside this one, with streams of its own."""
