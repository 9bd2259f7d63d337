"""Random numbers without a generator: a hash of (seed, purpose, name, epoch) and of a position.

Every purpose of every run has a stream of its own, so that changing one part's draws changes no other's, and a number
depends neither on the stack, nor on the batch size or the threads. There is no state: a resumed run draws what the
undisturbed one would have drawn.

Reference: Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number generators" (splitmix64's mixing function,
here as a counter-based generator; keys are BLAKE2b digests).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_GAMMA = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def _signed(value: int) -> int:
    """The int64 with the same bits."""
    return value - (1 << 64) if value >> 63 else value


@functools.lru_cache(maxsize=65_536)
def stream_key(seed: int, purpose: str, name: str = "", epoch: int = 0) -> int:
    """The key of one stream, as a signed 64-bit integer."""
    text = f"{seed}\0{purpose}\0{name}\0{epoch}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=b"fitwell").digest(), "little", signed=True)


def words(keys: Tensor, first: int, count: int) -> Tensor:
    """64 random bits for each position first … first + count − 1 of each stream: (K,) keys give (K, count), int64."""
    z = torch.arange(first + 1, first + count + 1, device=keys.device)
    z = z.mul_(_signed(_GAMMA)) + keys.unsqueeze(1)
    for shift, factor in _MIX:
        z ^= (z >> shift) & ((1 << (64 - shift)) - 1)  # torch shifts signed; the mask makes it unsigned
        z *= _signed(factor)
    z ^= (z >> 31) & ((1 << 33) - 1)
    return z


def uniform(keys: Tensor, first: int, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers in [0, 1) in steps of 2⁻²⁴, shape (K, count)."""
    return (words(keys, first, count) >> 40 & 0xFFFFFF).to(dtype).mul_(2.0**-24)


def permutation(seed: int, purpose: str, epoch: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """An order of 0 … count − 1: the positions sorted by their hash."""
    bits = max(count - 1, 1).bit_length()
    keys = torch.tensor([stream_key(seed, purpose, "", epoch)])
    drawn = words(keys, 0, count)[0].numpy()
    # The position sits in the low bits: no two values are equal, so every sorting algorithm gives the same order.
    packed = (drawn & ~((1 << bits) - 1)) | np.arange(count)
    packed.sort()
    order: np.ndarray[Any, np.dtype[np.int64]] = packed & ((1 << bits) - 1)
    return order


class StackDraws:
    """The draws of one part of each run in a stack (``worker.spec.families.Draws``), for the current batch."""

    def __init__(self, seeds: Sequence[int], purpose: str, device: torch.device, dtype: torch.dtype) -> None:
        self.seeds = tuple(seeds)
        self.purpose = purpose
        self.device = device
        self.dtype = dtype
        self._epoch = self._first = self._rows = 0
        self._keys: dict[str, Tensor] = {}

    def seek(self, epoch: int, first: int, rows: int) -> None:
        """Go to the batch of ``rows`` rows that begins at position ``first`` of ``epoch``."""
        if epoch != self._epoch:
            self._keys.clear()
        self._epoch, self._first, self._rows = epoch, first, rows

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
