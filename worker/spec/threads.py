"""Computation on several threads: matrix products, and pieces of work on one thread each.

A product on several threads is torch's business. Convolutions change their bits with the number of threads that
compute one of them, so they are cut into pieces that are the same whatever that number is; what can be chosen freely
is how many of them are computed at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Threads:
    """A choice that ``use`` makes for this process."""

    products: int
    """Threads that compute a product together."""
    pieces: int = 1
    """Pieces computed at once."""

    def use(self) -> None:
        """Compute so from now on."""
        import torch

        global _chosen  # noqa: PLW0603 - as torch's own number of threads is
        _chosen = self
        torch.set_num_threads(self.products)


_chosen = Threads(1)


def each_on_one_thread(pieces: Sequence[Callable[[], T]]) -> list[T]:
    """The results of ``pieces``, as many at once as was chosen, each of them computed on one thread."""
    import torch

    products, at_once = torch.get_num_threads(), max(1, min(_chosen.pieces, len(pieces)))
    if products > 1:
        torch.set_num_threads(1)  # a new thread of the pool takes it over
    try:
        shares = [pieces[i::at_once] for i in range(at_once)]
        others = [_pool(_chosen.pieces).submit(_all_of, share) for share in shares[1:]]
        done = [_all_of(shares[0]), *(other.result() for other in others)]
    finally:
        if products > 1:
            torch.set_num_threads(products)
    return [done[i % at_once][i // at_once] for i in range(len(pieces))]


def _all_of(pieces: Sequence[Callable[[], T]]) -> list[T]:
    return [piece() for piece in pieces]


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    import torch

    # A thread learns how many threads it may use when it first asks.
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="pieces", initializer=torch.get_num_threads)
