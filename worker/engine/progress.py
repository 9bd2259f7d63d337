"""A stack in the middle of an epoch: the optimizer's steps, and the training losses as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from worker.engine.data import Data
from worker.engine.reduce import ordered_mean, ordered_sum
from worker.engine.stack import Stack
from worker.engine.streams import permutation


class Batches(NamedTuple):
    """Each run's order of the training rows and what its batches gave so far; all (K, rows of the training set)."""

    order: Tensor
    losses: Tensor
    hits: Tensor

    @classmethod
    def of(cls, stack: Stack, data: Data, epoch: int) -> Batches:
        """Each run's order in ``epoch``, and room for its losses."""
        rows = len(data)
        orders = np.stack([permutation(member.spec.seed, "order", epoch, rows) for member in stack.members])
        losses = torch.empty((len(stack), rows), device=stack.device)
        return cls(torch.from_numpy(orders).to(stack.device), losses, losses.to(torch.bool))

    def take(self, positions: Sequence[int]) -> Batches:
        """Those of the runs at ``positions``."""
        index = torch.tensor(list(positions), dtype=torch.int64, device=self.order.device)
        return Batches(*(rows.index_select(0, index) for rows in self))


class Progress:
    """The epoch of a stack as far as it has come: ``steps`` steps over ``rows`` rows."""

    def __init__(self, stack: Stack, data: Data, epoch: int, *, batches: Batches | None = None, steps: int = 0) -> None:
        self.stack, self.data, self.epoch = stack, data, epoch
        self.batches = batches or Batches.of(stack, data, epoch)
        self.steps = steps
        specs = [member.spec for member in stack.members]
        self.rates = [spec.optimizer.lr * spec.schedule.factor(epoch, spec.epochs) for spec in specs]
        self._batch_size = specs[0].batch_size if specs else 1
        self._lr = torch.tensor(self.rates, dtype=torch.float32, device=stack.device).unsqueeze(1)
        self._acting, self._adding, self._shrinking = (stack.having(hook) for hook in ("act", "grad", "prox"))

    @property
    def rows(self) -> int:
        """Rows trained on so far."""
        return min(self.steps * self._batch_size, len(self.data))

    def only(self, positions: Sequence[int]) -> Progress:
        """The runs at ``positions``, on a stack of their own; they go on as if they had always been so."""
        stack, batches = self.stack.take(positions), self.batches.take(positions)
        return Progress(stack, self.data, self.epoch, batches=batches, steps=self.steps)

    def without(self, positions: Sequence[int]) -> Progress:
        """The other runs, likewise."""
        return self.only([i for i in range(len(self.stack)) if i not in set(positions)])

    def train_step(self, t: int) -> None:
        """One step of every run on its next rows; ``t`` counts the run's steps from 1."""
        stack, first = self.stack, self.rows
        rows = min(self._batch_size, len(self.data) - first)
        stack.seek(self.epoch, first, rows)
        chosen = self.batches.order[:, first : first + rows]
        x = self.data.batch(chosen) if stack.moves is None else self.data.moved(chosen, stack.moves.index())
        y = self.data.labels.take(chosen)
        log_p = torch.log_softmax(stack.network.forward(x, self._act if self._acting else None), 2)
        wanted = y.unsqueeze(2)
        torch.neg(log_p.gather(2, wanted).squeeze(2), out=self.batches.losses[:, first : first + rows])
        torch.eq(log_p.argmax(2), y, out=self.batches.hits[:, first : first + rows])
        target = torch.zeros_like(log_p).scatter_(2, wanted, -1 / rows)
        stack.network.backward(torch.ops.aten._log_softmax_backward_data(target, log_p, 2, log_p.dtype))
        self._update(t)
        self.steps += 1

    def _act(self, a: Tensor, layer: int) -> Tensor | None:
        """Let every acting regularizer change the activations; returns the product of their factors."""
        factor: Tensor | None = None
        for part, draws in self._acting:
            own: Tensor = part.maths.act(part, a, draws, layer)
            factor = own if factor is None else factor.mul_(own)
        return factor

    def _update(self, t: int) -> None:
        """Gradients of the penalties, the optimizer's step, proximal steps."""
        stack, optimizer = self.stack, self.stack.optimizer
        for part, _ in self._adding:
            for w, g in stack.matrices:
                part.maths.grad(part, w, g)
        optimizer.maths.update(optimizer, stack.weights, stack.gradient, self._lr, stack.state, t)
        lr = self._lr.unsqueeze(2)
        for part, _ in self._shrinking:
            for w, _ in stack.matrices:
                part.maths.prox(part, w, lr)

    def losses(self) -> tuple[Tensor, Tensor]:
        """Mean loss and accuracy of the batches so far, as they were trained on; (K,) each."""
        batches = self.batches
        return ordered_mean(batches.losses[:, : self.rows]), batches.hits[:, : self.rows].sum(1).double() / self.rows

    def penalties(self) -> dict[str, Tensor]:
        """What each kind of regularizer adds to the objective with the weights as they are now; (K,) each."""
        sums: dict[str, Tensor] = {}
        for part, _ in self.stack.having("penalty"):
            kind = part.kind
            for w, _ in self.stack.matrices:
                term = ordered_sum(part.maths.penalty(part, w).flatten(1))
                sums[kind] = sums[kind] + term if kind in sums else term
        return sums
