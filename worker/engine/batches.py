"""The batches of an epoch: each run's order of the training rows, their inputs, and the results so far.

A small step takes most of its time in calls, not in arithmetic. So what need not wait for the weights is done for
several batches at once: inputs are gathered ahead, losses and statistics computed afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.spec.rng import oversampled, permutation
from worker.spec.sums import summed, weighted

if TYPE_CHECKING:
    from worker.engine.hooks import HookSet

NUMBERS_AT_ONCE = 1 << 18
"""Numbers that are gathered ahead, or kept until their losses are computed: 1 MB, which stays in the cache."""
CACHE_LINE = 16
"""Floats in a cache line, on which the inputs of every batch begin."""


class Batches(NamedTuple):
    """The training rows of each run in order, by number, and the results of its batches so far; all (K, n)."""

    order: Tensor
    losses: Tensor
    statistics: Tensor
    teacher_losses: Tensor
    """Losses of the distillation parts; 0 for runs without one."""

    @classmethod
    def of(cls, stack: Stack, data: StackData, epoch: int) -> Batches:
        """Return each run's order in ``epoch``, and room for its losses."""
        rows = len(data)
        orders = np.stack([permutation(member.spec.seed, "order", epoch, rows) for member in stack.members])
        if data.spec.oversample:
            splits, labels = data.splits_of(stack.members).tolist(), data.y_of_splits.cpu().numpy()
            runs = zip(stack.members, splits, orders, strict=True)
            orders = np.stack([oversampled(order, labels[split], m.spec.seed, epoch) for m, split, order in runs])
        losses = torch.empty((len(stack), rows), device=stack.device)
        empty, none = torch.empty_like(losses), torch.zeros_like(losses)
        order = data.numbered(stack.members, torch.from_numpy(orders).to(stack.device))
        return cls(order, losses, empty, none)

    def take(self, positions: Sequence[int]) -> Batches:
        """Return those of the runs at ``positions``."""
        index = torch.tensor(list(positions), dtype=torch.int64, device=self.order.device)
        return Batches(*(rows.index_select(0, index) for rows in self))


class InputQueue:
    """The inputs of the next batches of rows in ``order`` (K, n)."""

    def __init__(self, data: StackData, order: Tensor) -> None:
        self._data, self._order = data, order
        self._ready: dict[tuple[int, int], Tensor] = {}

    def take(self, first: int, rows: int, *, again: bool = False) -> Tensor:
        """Return the inputs (K, rows, D) of the rows from position ``first`` on, which the caller may change.

        If they are taken ``again`` later, they stay in the queue.
        """
        if (first, rows) not in self._ready:
            self._gather(first, rows)
        return self._ready[first, rows].clone() if again else self._ready.pop((first, rows))

    def _gather(self, first: int, rows: int) -> None:
        runs, available = self._order.shape[0], self._order.shape[1] - first
        numbers = runs * rows * self._data.width
        batches = 1 if numbers % CACHE_LINE else max(1, min(NUMBERS_AT_ONCE // numbers, available // rows))
        chosen = self._order[:, first : first + batches * rows].reshape(runs, batches, rows).transpose(0, 1)
        x = self._data.batch(chosen.reshape(-1, rows)).view(batches, runs, rows, -1)
        self._ready = {(first + i * rows, rows): of_batch for i, of_batch in enumerate(x)}


class PassOutcome(NamedTuple):
    """The outputs (K, N, outputs) of a batch's rows, and what their losses are computed from."""

    outputs: Tensor
    y: Tensor
    targets: Tensor | None
    """Targets of mixed rows, (K, N, outputs)."""
    weights: Tensor | None
    """Weights of the rows, (K, N)."""


class Outcomes:
    """Computes losses and statistics of the rows of ``batches``, for several passes at once."""

    def __init__(self, batches: Batches, hooks: HookSet, class_weights: Tensor | None) -> None:
        self._batches, self._hooks, self._class_weights = batches, hooks, class_weights
        self._waiting: list[PassOutcome] = []
        self._first = self._numbers = 0

    def add(self, first: int, outcome: PassOutcome) -> None:
        """Add the outcome of the rows from position ``first`` on; they follow those added before."""
        if not self._waiting:
            self._first = first
        self._waiting.append(outcome)
        self._numbers += outcome.outputs.numel()
        if self._numbers >= NUMBERS_AT_ONCE:
            self.compute()

    def compute(self) -> None:
        """Write the losses and statistics of all rows added so far into the batches."""
        if not self._waiting:
            return
        outputs, y, targets, weights = (_joined(parts) for parts in zip(*self._waiting, strict=True))
        assert outputs is not None
        assert y is not None
        place = slice(self._first, self._first + y.shape[1])
        self._batches.statistics[:, place] = weighted(self._hooks.statistic(outputs, y, targets), weights)
        if self._class_weights is not None:
            targets, weights = with_class_weights(self._class_weights, y, targets, weights)
        self._batches.losses[:, place] = weighted(self._hooks.loss(outputs, y, targets), weights)
        self._waiting, self._numbers = [], 0


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.cat(present, 1) if present else None


def with_class_weights(
    class_weights: Tensor, y: Tensor, targets: Tensor | None, weights: Tensor | None
) -> tuple[Tensor | None, Tensor]:
    """Return targets of which each row sums to 1, and weights (K, N), whose product has the classes' weights.

    ``class_weights`` are (K, C).
    """
    if targets is None:
        own = class_weights.gather(1, y)
    else:
        targets = targets * class_weights.unsqueeze(1)
        total = summed(targets)
        targets, own = targets / total, total.squeeze(2)
    return targets, own if weights is None else own * weights
