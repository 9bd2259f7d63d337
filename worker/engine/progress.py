"""A stack in the middle of an epoch: the optimizer's steps, and the training losses as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from worker.engine.data import Data
from worker.engine.evaluation import CHUNK_ROWS, loss_weights, predictions
from worker.engine.hooks import EvaluationHooks, TrainingHooks
from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.spec.families.optimizer import Step
from worker.spec.part import Stacked
from worker.spec.rng import oversampled, permutation
from worker.spec.sums import ordered_mean, ordered_sum, summed

MICRO_ROWS = 1024
"""Rows in a forward and backward pass; the gradients of a larger batch's parts are summed in order."""


class Batches(NamedTuple):
    """The training rows of each run in order, by number, and the results of its batches so far; all (K, n)."""

    order: Tensor
    losses: Tensor
    statistics: Tensor
    teacher_losses: Tensor
    """Losses of the distillation parts; 0 for runs without one."""

    @classmethod
    def of(cls, stack: Stack, data: StackData, epoch: int) -> Batches:
        """Each run's order in ``epoch``, and room for its losses."""
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
        """Those of the runs at ``positions``."""
        index = torch.tensor(list(positions), dtype=torch.int64, device=self.order.device)
        return Batches(*(rows.index_select(0, index) for rows in self))


class Progress:
    """The epoch of a stack as far as it has come: ``steps`` steps over ``rows`` rows."""

    def __init__(
        self, stack: Stack, data: StackData, epoch: int, *, batches: Batches | None = None, steps: int = 0
    ) -> None:
        self.stack, self.data, self.epoch = stack, data, epoch
        self.batches = batches or Batches.of(stack, data, epoch)
        self.steps = steps
        specs = [member.spec for member in stack.members]
        self.learning_rates = [
            spec.required_optimizer.learning_rate * spec.schedule.factor(epoch, spec.epochs) for spec in specs
        ]
        self._batch_size = specs[0].batch_rows if specs else 1
        self._learning_rate = torch.tensor(self.learning_rates, dtype=torch.float32, device=stack.device).unsqueeze(1)
        stack.enter(epoch)
        self._mixing, self._entering, self._smoothing, self._adding, self._shrinking = (
            stack.with_hook(name) for name in ("mix", "inputs", "smooth", "grad", "prox")
        )
        self._teaching, self._transferring = [], []
        for part, runs in stack.teaching_parts():
            if part.transfer is None:
                self._teaching.append((part, runs))
            else:
                rows = data.transfers[part.transfer.dataset.model_dump_json()]
                self._transferring.append((part, runs, rows, self._order_of(rows)))
        self._hidden = TrainingHooks(stack)
        weights = data.class_weights_of(stack.members) if specs else None
        self._class_weights = None if weights is None else weights.to(torch.float32).expand(len(stack), -1)

    @property
    def rows(self) -> int:
        """Rows trained on so far."""
        return min(self.steps * self._batch_size, len(self.data))

    def only(self, positions: Sequence[int]) -> Progress:
        """Return the progress of the runs at ``positions`` as a separate stack; their bits do not change."""
        stack, batches = self.stack.take(positions), self.batches.take(positions)
        return Progress(stack, self.data, self.epoch, batches=batches, steps=self.steps)

    def without(self, positions: Sequence[int]) -> Progress:
        """The other runs, likewise."""
        return self.only([i for i in range(len(self.stack)) if i not in set(positions)])

    def train_step(self, t: int) -> None:
        """One step of every run on its next rows; ``t`` counts the run's steps from 1."""
        first, stack = self.rows, self.stack
        rows = min(self._batch_size, len(self.data) - first)
        self._gradient(first, min(rows, MICRO_ROWS), rows)
        if rows > MICRO_ROWS:
            total = stack.gradient.clone()
            for begin in range(first + MICRO_ROWS, first + rows, MICRO_ROWS):
                self._gradient(begin, min(MICRO_ROWS, first + rows - begin), rows)
                total += stack.gradient
            stack.gradient.copy_(total)
        self._update(t)
        self.steps += 1

    def _gradient(self, first: int, rows: int, of: int) -> None:
        """Forward and backward of ``rows`` rows from position ``first`` on, a part of a batch of ``of``."""
        stack, batches = self.stack, self.batches
        stack.seek(self.epoch, first, rows)
        chosen = batches.order[:, first : first + rows]
        x = self.data.batch(chosen) if stack.images is None else stack.images.batch(self.data, chosen)
        y, loss, weights = self.data.y.take(chosen), stack.loss, self.data.row_weights(chosen)
        targets: Tensor | None = None
        if self._mixing:
            x, targets, weights = self._mixed(x, y, weights)
        for part, draws in self._entering:
            part.implementation.inputs(part, x, draws)
        z = stack.network.forward(x, self._hidden)
        outputs, place = loss.implementation.predict(loss, z), slice(first, first + rows)
        batches.statistics[:, place] = _times(loss.implementation.statistic(loss, outputs, y, targets), weights)
        if self._class_weights is not None:
            targets, weights = self._with_class_weights(self._class_weights, y, targets, weights)
        batches.losses[:, place] = _times(loss.implementation.loss(loss, outputs, y, targets), weights)
        if self._smoothing:
            targets = self._encoded(y) if targets is None else targets
            for part, _ in self._smoothing:
                part.implementation.smooth(part, targets)
        g = loss.implementation.gradient(loss, outputs, y, targets, of)
        if self._teaching or self._transferring:
            self._be_taught(z, y, g, chosen, place, of)
        if weights is not None:
            g *= weights.unsqueeze(2)
            batches.teacher_losses[:, place] *= weights
        stack.network.backward(g)
        for transferring in self._transferring:
            self._add_transferred(*transferring, first, rows, of)

    def _be_taught(self, z: Tensor, y: Tensor, g: Tensor, chosen: Tensor, place: slice, of: int) -> None:
        """Change the gradient ``g`` at the logits ``z`` of the rows ``chosen`` by what their runs' teachers say."""
        for part, runs in self._teaching:
            if len(runs) == len(self.stack):  # the usual case, with nothing to pick out
                logits = self.data.teacher_logits_of(part.teachers, chosen)
                self.batches.teacher_losses[:, place] = part.implementation.teach(part, z, y, logits, g, of)
                continue
            own, theirs = g.index_select(0, runs), chosen.index_select(0, runs)
            logits = self.data.teacher_logits_of(part.teachers, theirs)
            lost = part.implementation.teach(part, z.index_select(0, runs), y.index_select(0, runs), logits, own, of)
            self.batches.teacher_losses[runs, place] = lost
            g.index_copy_(0, runs, own)
        for part, runs, _, _ in self._transferring:
            own = g.index_select(0, runs)
            part.implementation.scale_label_gradient(part, own)
            g.index_copy_(0, runs, own)

    def _order_of(self, transfer: Data) -> Tensor:
        """Each run's order of the rows of a transfer set, over and over for as long as an epoch is; (K, rows)."""
        count = len(transfer)
        orders = [permutation(member.spec.seed, "transfer", self.epoch, count) for member in self.stack.members]
        again = np.stack([np.resize(order, len(self.data)) for order in orders])
        return torch.from_numpy(again).to(self.stack.device)

    def _add_transferred(
        self, part: Stacked[Any], runs: Tensor, transfer: Data, order: Tensor, first: int, rows: int, of: int
    ) -> None:
        """Add the gradient of what a part teaches ``runs`` on its transfer set; the others keep every bit."""
        stack, before = self.stack, self.stack.gradient.clone()
        stack.seek(self.epoch, len(self.data) + first, rows)  # draws that no labelled row has
        chosen = order[:, first : first + rows]
        x = transfer.batch(chosen) if stack.images is None else stack.images.batch(transfer, chosen)
        for entering, draws in self._entering:
            entering.implementation.inputs(entering, x, draws)
        z = stack.network.forward(x, TrainingHooks(stack, penalties=False))
        g, theirs, rows_seen = torch.zeros_like(z), z.index_select(0, runs), chosen.index_select(0, runs)
        own, logits = torch.zeros_like(theirs), transfer.teacher_logits_of(part.teachers, rows_seen)
        lost = part.implementation.teach(part, theirs, torch.zeros_like(rows_seen), logits, own, of)
        if (weights := transfer.row_weights(rows_seen)) is not None:
            lost, own = lost * weights, own * weights.unsqueeze(2)
        self.batches.teacher_losses[runs, first : first + rows] = lost
        stack.network.backward(g.index_copy_(0, runs, own))
        stack.gradient.copy_(before.index_add_(0, runs, stack.gradient.index_select(0, runs)))

    def _mixed(self, x: Tensor, y: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Inputs (K, N, D), targets (K, N, outputs) and weights (K, N) after all mixing.

        A mixed row has the mean of its rows' targets by their weights, and the mean of their weights.
        """
        targets, images = self._encoded(y), x.view(*x.shape[:2], *self.data.spec.shape)
        if weights is not None:
            targets = torch.cat([targets, torch.ones_like(targets[..., :1])], 2) * weights.unsqueeze(2)
        for part, draws in self._mixing:
            images, targets = part.implementation.mix(part, images, targets, draws)
        if weights is not None:
            targets, weights = targets[..., :-1] / targets[..., -1:], targets[..., -1]
        return images.flatten(2), targets, weights

    @staticmethod
    def _with_class_weights(
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

    def _encoded(self, y: Tensor) -> Tensor:
        """Targets y (K, N) as they are mixed and smoothed, (K, N, outputs)."""
        return self.stack.loss.implementation.encode(self.stack.loss, y, self.data.spec.outputs)

    def _update(self, t: int) -> None:
        """Gradients of the penalties, the optimizer's step, proximal steps."""
        stack, optimizer = self.stack, self.stack.optimizer
        for part, _ in self._adding:
            for w, g in stack.penalized_weights(part):
                part.implementation.grad(part, w, g)
        step = Step(stack.weights, stack.gradient, self._learning_rate, stack.state, t, stack.layout.matrices)
        optimizer.implementation.update(optimizer, step)
        lr = self._learning_rate.unsqueeze(2)
        for part, _ in self._shrinking:
            for w, _ in stack.penalized_weights(part):
                part.implementation.prox(part, w, lr)

    def losses(self) -> tuple[Tensor, Tensor]:
        """Mean loss and mean mark of the batches so far, as they were trained on; (K,) each."""
        batches = self.batches
        return ordered_mean(batches.losses[:, : self.rows]), ordered_mean(batches.statistics[:, : self.rows])

    def teacher_losses(self) -> Tensor:
        """Mean loss of what teachers say of the batches so far, likewise."""
        return ordered_mean(self.batches.teacher_losses[:, : self.rows])

    def penalties(self) -> dict[str, Tensor]:
        """Return the penalty of each kind of regularizer for the current weights; (K,) each.

        What depends on activations or outputs is measured in evaluation mode on the first rows of the training set.
        """
        sums: dict[str, Tensor] = {}

        def add(kind: str, terms: Tensor) -> None:
            term = ordered_sum(terms)
            sums[kind] = sums[kind] + term if kind in sums else term

        for part, _ in self.stack.with_hook("penalty"):
            for w, _ in self.stack.penalized_weights(part):
                add(part.kind, part.implementation.penalty(part, w).flatten(1))
        for part, runs in self.stack.teaching_parts():
            means = (mean.index_select(0, runs) for mean in (self.losses()[0], self.teacher_losses()))
            changed = torch.zeros(len(self.stack), 1, dtype=torch.float64, device=runs.device)
            add(
                part.kind, changed.index_copy_(0, runs, part.implementation.objective_change(part, *means).unsqueeze(1))
            )
        of_activations, of_outputs = (self.stack.with_hook(f"penalty_of_{name}") for name in ("activations", "outputs"))
        if of_activations or of_outputs:
            rows = self.data.training(min(CHUNK_ROWS, len(self.data)))
            split = next(rows.chunks(self.stack.members, CHUNK_ROWS))

            def look(a: Tensor) -> None:
                for part, _ in of_activations:
                    add(part.kind, part.implementation.penalty_of_activations(part, a))

            hooks = EvaluationHooks(self.stack, look)
            log_p, y = predictions(self.stack, split, hooks), split.y.expand(len(self.stack), -1)
            own = split.weights if split.weights is None else split.weights.expand(y.shape)
            weights = loss_weights(y, own, self._class_weights)
            total = y.shape[1] if weights is None else ordered_sum(weights).unsqueeze(1)
            for part, _ in of_outputs:
                add(part.kind, _times(part.implementation.penalty_of_outputs(part, log_p, y), weights) / total)
        return sums


def _times(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return ``values`` (K, N) times ``weights``, if rows have any."""
    return values if weights is None else values * weights
