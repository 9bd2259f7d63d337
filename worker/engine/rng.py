"""Random numbers without a generator: a hash of (seed, purpose, name, epoch) and of a position.

Every purpose of every run has a stream of its own, so that changing one part's draws changes no other's, and a number
depends neither on the stack, nor on the batch size or the threads. Streams have no state: a resumed run draws what the
undisturbed one would have drawn.

Reference: Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number generators" (splitmix64's mixing function,
here as a counter-based generator; keys are BLAKE2b digests).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.spec.rng import GAMMA, LAST_SHIFT, MIX, stream_key


def _signed(value: int) -> int:
    """The int64 with the same bits."""
    return value - (1 << 64) if value >> 63 else value


def words(keys: Tensor, first: int, count: int) -> Tensor:
    """64 random bits for each position first … first + count − 1 of each stream: (K,) keys give (K, count), int64."""
    z = torch.arange(first + 1, first + count + 1, device=keys.device)
    z = z.mul_(_signed(GAMMA)) + keys.unsqueeze(1)
    for shift, factor in MIX:
        z ^= (z >> shift) & ((1 << (64 - shift)) - 1)  # torch shifts signed; the mask makes it unsigned
        z *= _signed(factor)
    z ^= (z >> LAST_SHIFT) & ((1 << (64 - LAST_SHIFT)) - 1)
    return z


def uniform(keys: Tensor, first: int, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers in [0, 1) in steps of 2⁻²⁴, shape (K, count)."""
    return (words(keys, first, count) >> 40 & 0xFFFFFF).to(dtype).mul_(2.0**-24)


class StackRng:
    """The draws of one part of each run in a stack (``Rng`` of the regularizers), for the current batch."""

    def __init__(self, seeds: Sequence[int], purpose: str, device: torch.device, dtype: torch.dtype) -> None:
        self.seeds = tuple(seeds)
        self.purpose = purpose
        self.device = device
        self.dtype = dtype
        self._epoch = self._first = self._rows = 0
        self._keys: dict[str, Tensor] = {}
        self._draws: dict[str, list[Draws]] = {}
        self._inner: dict[str, StackRng] = {}

    def seek(self, epoch: int, first: int, rows: int) -> None:
        """Go to the batch of ``rows`` rows that begins at position ``first`` of ``epoch``."""
        if epoch != self._epoch:
            self._keys.clear()
            self._draws.clear()
        self._epoch, self._first, self._rows = epoch, first, rows
        for rng in self._inner.values():
            rng.seek(epoch, first, rows)

    def child(self, name: str) -> StackRng:
        """Rng of a part inside this one, from streams of their own."""
        if name not in self._inner:
            self._inner[name] = StackRng(self.seeds, f"{self.purpose}/{name}", self.device, self.dtype)
            self._inner[name].seek(self._epoch, self._first, self._rows)
        return self._inner[name]

    def _keys_of(self, name: str) -> Tensor:
        if name not in self._keys:
            keys = [stream_key(seed, self.purpose, name, self._epoch) for seed in self.seeds]
            self._keys[name] = torch.tensor(keys, device=self.device)
        return self._keys[name]

    def uniform(self, name: str = "") -> Tensor:
        """One number in [0, 1) for each row, shape (K, N)."""
        return uniform(self._keys_of(name), self._first, self._rows, self.dtype)

    def int16(self, name: str, width: int) -> Tensor:
        """``width`` numbers for each row, uniform over all int16 values, shape (K, N, width)."""
        per_row = -(-width // 4)
        drawn = words(self._keys_of(name), self._first * per_row, self._rows * per_row)
        return drawn.view(torch.int16).view(len(self.seeds), self._rows, per_row * 4)[..., :width]

    def normal(self, name: str, width: int) -> Tensor:
        """``width`` standard normal numbers for each row, shape (K, N, width): 65,536 quantiles, chosen by 16 bits."""
        return self._normal(self.int16(name, width))

    def batch_int16(self, name: str, width: int) -> Tensor:
        """``width`` numbers for the whole batch, uniform over all int16 values, (K, width)."""
        count = -(-width // 4)
        return words(self._keys_of(name), self._first * count, count).view(torch.int16)[:, :width]

    def batch_normal(self, name: str, width: int) -> Tensor:
        """``width`` standard normal numbers for the whole batch, (K, width)."""
        return self._normal(self.batch_int16(name, width))

    def _normal(self, drawn: Tensor) -> Tensor:
        """The normal distribution's quantiles that int16 numbers choose, of the same shape."""
        return _quantiles(self.device, self.dtype).take(drawn.to(torch.int64).add_(32768))

    def beta(self, name: str, shapes: Sequence[float]) -> Tensor:
        """One number from Beta(a, a) for each row, shape (K, N)."""
        return self._in_order(name, [functools.partial(_betas, a) for a in shapes])

    def dirichlet(self, name: str, shapes: Sequence[float], width: int) -> Tensor:
        """``width`` numbers from Dirichlet(a, …, a) for each row, shape (K, N, width)."""
        return self._in_order(name, [functools.partial(_dirichlets, a, width) for a in shapes])

    def _in_order(self, name: str, distributions: Sequence[Distribution]) -> Tensor:
        """Numbers of each run's distribution for each row, (K, N, …)."""
        if name not in self._draws:
            keys = [stream_key(seed, self.purpose, name, self._epoch) for seed in self.seeds]
            self._draws[name] = [Draws(key, of_run) for key, of_run in zip(keys, distributions, strict=True)]
        drawn = np.stack([draws.rows(self._first, self._rows) for draws in self._draws[name]])
        return torch.from_numpy(drawn).to(self.device, self.dtype)


Numbers = np.ndarray[Any, np.dtype[np.float64]]
Distribution = Callable[[np.random.RandomState, int], Numbers]


class RowRng:
    """The draws of one layer of one run (``RowDraws`` of the layers), for some rows of a batch."""

    def __init__(self, rng: StackRng) -> None:
        self._rng = rng

    def uniform(self, name: str = "") -> Tensor:
        """One number in [0, 1) for each row, (N,)."""
        return self._rng.uniform(name)[0]

    def int16(self, name: str, width: int) -> Tensor:
        """``width`` numbers for each row, uniform over all int16 values, (N, width)."""
        return self._rng.int16(name, width)[0]

    def normal(self, name: str, width: int) -> Tensor:
        """``width`` standard normal numbers for each row, (N, width)."""
        return self._rng.normal(name, width)[0]


def row_draws(seeds: Sequence[int], device: torch.device) -> Callable[[int, str, int, int, int], RowRng]:
    """The draws of layers of runs with these ``seeds``: run, purpose, epoch, first row's position, number of rows."""

    def draws(run: int, purpose: str, epoch: int, first: int, rows: int) -> RowRng:
        rng = StackRng([seeds[run]], purpose, device, torch.float32)
        rng.seek(epoch, first, rows)
        return RowRng(rng)

    return draws


def _betas(a: float, source: np.random.RandomState, count: int) -> Numbers:
    return source.beta(a, a, count)


def _dirichlets(a: float, width: int, source: np.random.RandomState, count: int) -> Numbers:
    return source.dirichlet([a] * width, count)


class Draws:
    """One run's draws in an epoch, by position: drawn in order, stored, and drawn further on demand."""

    def __init__(self, key: int, distribution: Distribution) -> None:
        self._distribution = distribution
        self._source = np.random.RandomState([key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF])  # frozen by numpy
        self._drawn: Numbers | None = None

    def rows(self, first: int, count: int) -> Numbers:
        """The draws at positions first … first + count − 1."""
        missing = first + count - (0 if self._drawn is None else len(self._drawn))
        if self._drawn is None or missing > 0:
            more = self._distribution(self._source, max(missing, 4096))
            self._drawn = more if self._drawn is None else np.concatenate([self._drawn, more])
        return self._drawn[first : first + count]


@functools.lru_cache(maxsize=4)
def _quantiles(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The normal distribution's quantiles at (i + ½) / 65,536."""
    levels = (torch.arange(65536, dtype=torch.float64) + 0.5) / 65536
    quantiles: Tensor = torch.special.ndtri(levels)
    return quantiles.to(device, dtype)
