"""An epoch of a stack whose model is trained: its steps, and the training losses as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from worker.engine.after_step import finish_step
from worker.engine.batches import Batches, InputQueue, Outcomes, PassOutcome, with_class_weights
from worker.engine.before_step import shape_gradient
from worker.engine.evaluator import Evaluator
from worker.engine.hooks import HookSet
from worker.engine.learning_rates import NO_HISTORIES, LearningRates
from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.engine.teaching import Teaching
from worker.engine.training_metrics import measure
from worker.spec.families.model import MICRO_ROWS
from worker.spec.families.optimizer import Step
from worker.spec.families.schedule import History
from worker.spec.sums import ordered_mean


class Progress:
    """The epoch of a stack as far as it has come: ``steps`` steps over ``rows`` rows.

    ``histories`` has the recorded series of the epochs before, by run.
    """

    def __init__(
        self,
        stack: Stack,
        data: StackData,
        epoch: int,
        *,
        batches: Batches | None = None,
        steps: int = 0,
        histories: Mapping[str, History] = NO_HISTORIES,
    ) -> None:
        self.stack, self.data, self.epoch = stack, data, epoch
        self._histories = histories
        self.batches = batches or Batches.of(stack, data, epoch)
        self.steps = steps
        specs = [member.spec for member in stack.members]
        self._batch_size = specs[0].batch_rows if specs else 1
        self._steps_per_epoch = specs[0].steps_per_epoch if specs else 0
        stack.enter(epoch)
        self.learning_rates = LearningRates(stack, epoch, steps=steps, histories=histories)
        self.hooks = HookSet(stack)
        self._teaching = Teaching(stack, data, epoch, self.batches, self.hooks)
        weights = data.class_weights_of(stack.members) if specs else None
        self.class_weights = None if weights is None else weights.to(torch.float32).expand(len(stack), -1)
        """Weights of classes in the mean loss, (K, C); None if rows weigh alike."""
        self._y = data.y.take(self.batches.order)
        self._inputs = InputQueue(data, self.batches.order)
        self._outcomes = Outcomes(self.batches, self.hooks, self.class_weights)

    @property
    def rows(self) -> int:
        """Rows trained on so far."""
        return min(self.steps * self._batch_size, len(self.data))

    @property
    def _steps_before(self) -> int:
        """Steps in the epochs before."""
        return (self.epoch - 1) * self._steps_per_epoch

    @property
    def remaining_steps(self) -> range:
        """The numbers of the epoch's steps ahead, counted over all epochs from 1."""
        return range(self._steps_before + self.steps + 1, self._steps_before + self._steps_per_epoch + 1)

    def only(self, positions: Sequence[int]) -> Progress:
        """Return the progress of the runs at ``positions`` as a separate stack; their bits do not change."""
        self._outcomes.compute()
        stack, batches = self.stack.take(positions), self.batches.take(positions)
        return Progress(stack, self.data, self.epoch, batches=batches, steps=self.steps, histories=self._histories)

    def without(self, positions: Sequence[int]) -> Progress:
        """Return the progress of the other runs, likewise."""
        return self.only([i for i in range(len(self.stack)) if i not in set(positions)])

    def train_step(self, t: int) -> None:
        """Take one step of every run on its next rows; ``t`` counts the run's steps from 1."""
        ascends = self.stack.optimizer.implementation.ascends
        self._compute_gradient(again=ascends)
        if ascends:
            self._compute_gradient_uphill()
        if self.hooks.disturb:
            self.stack.seek(self.epoch, self.rows, 1)
        shape_gradient(self.hooks, t)
        rates = self.learning_rates.at(t)
        for step in self._steps(t, rates):
            self.hooks.update(step)
        finish_step(self.hooks, rates, t)
        self.steps += 1

    def _steps(self, t: int, rates: Tensor) -> list[Step]:
        """Return the optimizer's step ``t`` on each block of parameters, at the learning rates (K, 1)."""
        return [Step(w, g, rates, state, t, matrices) for w, g, state, matrices in self.stack.blocks]

    def enter_training(self) -> None:
        """Begin with the weights at which the optimizer takes gradients."""
        first = self._steps_before + 1
        for step in self._steps(first, self.learning_rates.at(first)):
            self.stack.optimizer.enter_training(step)

    def _compute_gradient_uphill(self) -> None:
        """Replace the gradient by that of the same batch at the weights to which the optimizer ascends."""
        stack, taught = self.stack, self.batches.teacher_losses
        place = slice(self.rows, self.rows + self._batch_size)
        stored = stack.weights.clone(), stack.buffers.clone(), taught[:, place].clone()
        stack.optimizer.ascend(list(stack.parameters.values()), list(stack.gradients.values()))
        self._compute_gradient(recorded=False)
        stack.weights.copy_(stored[0])
        stack.buffers.copy_(stored[1])
        taught[:, place] = stored[2]

    def _compute_gradient(self, *, recorded: bool = True, again: bool = False) -> None:
        """Compute the gradient of the next batch, in parts of at most ``MICRO_ROWS`` rows.

        Losses are left out unless they are ``recorded``. The batch can be repeated if it is needed ``again``.
        """
        first, stack = self.rows, self.stack
        rows = min(self._batch_size, len(self.data) - first)
        self.hooks.enter_batch(rows)
        self.hooks.forward_weights.enter(self.epoch, first)
        self._pass(first, min(rows, MICRO_ROWS), rows, recorded, again)
        if rows > MICRO_ROWS:
            total = stack.gradient.clone()
            for begin in range(first + MICRO_ROWS, first + rows, MICRO_ROWS):
                self._pass(begin, min(MICRO_ROWS, first + rows - begin), rows, recorded, again)
                total += stack.gradient
            stack.gradient.copy_(total)
        self.hooks.forward_weights.leave()

    def _pass(self, first: int, rows: int, of: int, recorded: bool, again: bool) -> None:
        """Run forward and backward on ``rows`` rows from position ``first`` on, a part of a batch of ``of``."""
        stack, batches, hooks = self.stack, self.batches, self.hooks
        stack.seek(self.epoch, first, rows)
        place = slice(first, first + rows)
        chosen, y = batches.order[:, place], self._y[:, place]
        x = (
            self._inputs.take(first, rows, again=again)
            if stack.images is None
            else stack.images.batch(self.data, chosen)
        )
        weights = self.data.row_weights(chosen)
        targets: Tensor | None = None
        if hooks.mix:
            x, targets, weights = self._mixed(x, y, weights)
        for change in hooks.inputs:
            change(x)
        z = stack.network.forward(x, hooks.hidden)
        outputs = hooks.predict(z)
        if recorded:  # the network's own buffer has other numbers after the next pass
            self._outcomes.add(first, PassOutcome(outputs.clone() if outputs is z else outputs, y, targets, weights))
        if self.class_weights is not None:
            targets, weights = with_class_weights(self.class_weights, y, targets, weights)
        if hooks.smooth:
            targets = self._encoded(y) if targets is None else targets.clone()
            for smooth in hooks.smooth:
                smooth(targets)
        g = hooks.gradient(outputs, y, targets, of)
        if self._teaching:
            self._teaching.change_gradient(z, y, g, chosen, place, of)
        for add in hooks.grad_of_outputs:
            add(outputs, g, of)
        if weights is not None:
            g *= weights.unsqueeze(2)
            batches.teacher_losses[:, place] *= weights
        stack.network.backward(g)
        for penalize in hooks.grad_of_inputs:
            penalize(stack.network, outputs=g.shape[2], rows=of)
        self._teaching.add_transferred(first, rows, of)

    def _mixed(self, x: Tensor, y: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return inputs (K, N, D), targets (K, N, outputs) and weights (K, N) after all mixing.

        A mixed row has the mean of its rows' targets by their weights, and the mean of their weights.
        """
        targets, images = self._encoded(y), x.view(*x.shape[:2], *self.data.spec.shape)
        if weights is not None:
            targets = torch.cat([targets, torch.ones_like(targets[..., :1])], 2) * weights.unsqueeze(2)
        for mix in self.hooks.mix:
            images, targets = mix(images, targets)
        if weights is not None:
            targets, weights = targets[..., :-1] / targets[..., -1:], targets[..., -1]
        return images.flatten(2), targets, weights

    def _encoded(self, y: Tensor) -> Tensor:
        """Return targets y (K, N) as they are mixed and smoothed, (K, N, outputs)."""
        encoded: Tensor = self.stack.loss.encode(y, self.data.spec.outputs)
        return encoded

    def losses(self) -> tuple[Tensor, Tensor]:
        """Return mean loss and mean statistic of the batches so far, as they were trained on; (K,) each."""
        self._outcomes.compute()
        batches = self.batches
        return ordered_mean(batches.losses[:, : self.rows]), ordered_mean(batches.statistics[:, : self.rows])

    def teacher_losses(self) -> Tensor:
        """Return the mean loss of the teachers over the batches so far, (K,)."""
        return ordered_mean(self.batches.teacher_losses[:, : self.rows])

    def measure(self, evaluator: Evaluator) -> list[dict[str, float]]:
        """Return the metrics of each run after the steps so far, at the weights that its optimizer evaluates.

        Those of splits that are evaluated are not among them.
        """
        last = self._steps_before + self.steps
        for step in self._steps(last, self.learning_rates.at(last)):
            self.stack.optimizer.enter_evaluation(step)
        if self.stack.averages is not None:
            self.stack.averages.add_epoch(self.epoch)
        return measure(self, evaluator)


class GradientDescent:
    """The epochs of models that an optimizer trains."""

    def __init__(self, data: StackData) -> None:
        self._data = data

    def prepare(self, stack: Stack) -> tuple[()]:
        """Return no preparation."""
        return ()

    def begin(self, stack: Stack, epoch: int, histories: Mapping[str, History]) -> Progress:
        """Return the epoch before its first step."""
        progress = Progress(stack, self._data, epoch, histories=histories)
        progress.enter_training()
        return progress
