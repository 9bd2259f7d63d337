"""Distillation in a training step: what the teachers of runs change, on training rows or on a transfer set."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from worker.engine.batches import Batches
from worker.engine.data import Data
from worker.engine.hooks import HookSet, TrainingHooks
from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.spec.part import Stacked
from worker.spec.rng import permutation


class Transfer(NamedTuple):
    """A part that teaches on other rows."""

    part: Stacked[Any]
    runs: Tensor
    """Positions of the runs that it teaches, int64."""
    rows: Data
    order: Tensor
    """Each run's order of the rows, repeated for as long as an epoch is; (K, n)."""


class Teaching:
    """The teachers of the runs of ``stack`` in ``epoch``; their losses go into ``batches``."""

    def __init__(self, stack: Stack, data: StackData, epoch: int, batches: Batches, hooks: HookSet) -> None:
        self._stack, self._data, self._epoch = stack, data, epoch
        self._batches, self._hooks = batches, hooks
        self._on_batches: list[tuple[Stacked[Any], Tensor]] = []
        self._transfers: list[Transfer] = []
        for part, runs in stack.teaching_parts():
            if part.transfer is None:
                self._on_batches.append((part, runs))
            else:
                rows = data.transfers[part.transfer.dataset.model_dump_json()]
                self._transfers.append(Transfer(part, runs, rows, self._order_of(rows)))
        self._hidden = TrainingHooks(stack, transfer=True) if self._transfers else None

    def __bool__(self) -> bool:
        return bool(self._on_batches or self._transfers)

    def _order_of(self, rows: Data) -> Tensor:
        count, members = len(rows), self._stack.members
        orders = [permutation(member.spec.seed, "transfer", self._epoch, count) for member in members]
        repeated = np.stack([np.resize(order, len(self._data)) for order in orders])
        return torch.from_numpy(repeated).to(self._stack.device)

    def change_gradient(self, z: Tensor, y: Tensor, g: Tensor, chosen: Tensor, place: slice, of: int) -> None:
        """Change the gradient ``g`` at the logits ``z`` of the training rows ``chosen``, part of a batch of ``of``."""
        losses = self._batches.teacher_losses
        for part, runs in self._on_batches:
            if len(runs) == len(self._stack):  # the usual case: no run needs to be selected
                losses[:, place] = part.teach(z, y, self._data.teacher_logits_of(part.teachers, chosen), g, of)
                continue
            own, rows = g.index_select(0, runs), chosen.index_select(0, runs)
            logits = self._data.teacher_logits_of(part.teachers, rows)
            losses[runs, place] = part.teach(z.index_select(0, runs), y.index_select(0, runs), logits, own, of)
            g.index_copy_(0, runs, own)
        for part, runs, _, _ in self._transfers:
            own = g.index_select(0, runs)
            part.scale_label_gradient(own)
            g.index_copy_(0, runs, own)

    def add_transferred(self, first: int, rows: int, of: int) -> None:
        """Add the gradients of the transfer sets; runs without one keep every bit."""
        for transfer in self._transfers:
            self._add(transfer, first, rows, of)

    def _add(self, transfer: Transfer, first: int, rows: int, of: int) -> None:
        stack, (part, runs, data, order) = self._stack, transfer
        before = stack.gradient.clone()
        stack.seek(self._epoch, len(self._data) + first, rows)  # draws that no labeled row has
        chosen = order[:, first : first + rows]
        x = data.batch(chosen) if stack.images is None else stack.images.batch(data, chosen)
        for change in self._hooks.inputs:
            change(x)
        assert self._hidden is not None
        z = stack.network.forward(x, self._hidden)
        g, own_rows = torch.zeros_like(z), chosen.index_select(0, runs)
        own_z = z.index_select(0, runs)
        own, logits = torch.zeros_like(own_z), data.teacher_logits_of(part.teachers, own_rows)
        losses = part.teach(own_z, torch.zeros_like(own_rows), logits, own, of)
        if (weights := data.row_weights(own_rows)) is not None:
            losses, own = losses * weights, own * weights.unsqueeze(2)
        self._batches.teacher_losses[runs, first : first + rows] = losses
        stack.network.backward(g.index_copy_(0, runs, own))
        for total, block in zip(stack.layout.split(before), stack.blocks, strict=True):
            block.g.copy_(total.index_add_(0, runs, block.g.index_select(0, runs)))
