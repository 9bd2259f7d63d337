"""Computation on several threads: matrix products, and pieces of work on one thread each.

torch computes a product on several threads. The bits of a convolution depend on its number of threads, so convolutions
are cut into fixed pieces of one thread each, and only the number of concurrent pieces varies.
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
    """The numbers of threads of this process."""

    products: int
    """Threads that compute a product together."""
    pieces: int = 1
    """Pieces computed concurrently."""

    def use(self) -> None:
        """Apply these numbers to this process."""
        import torch

        global _chosen  # noqa: PLW0603 - as torch's own number of threads is
        _chosen = self
        torch.set_num_threads(self.products)


_chosen = Threads(1)


def concurrent_pieces() -> int:
    """Return the number of pieces that are computed concurrently."""
    return _chosen.pieces


def each_on_one_thread(pieces: Sequence[Callable[[], T]]) -> list[T]:
    """Return the results of ``pieces``, each computed on one thread, ``Threads.pieces`` of them concurrently."""
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

    # torch reads its number of threads on the first use in each thread.
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="pieces", initializer=torch.get_num_threads)
