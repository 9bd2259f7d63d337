"""The batches of an epoch: each run's order of the training rows, and the results of its batches so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.spec.rng import oversampled, permutation


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
