"""The hooks of a stack's parts, each bound to its part, its draws and the weights that it acts on.

Hooks are bound when an epoch begins, or when runs leave the stack. They keep the order of the parts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from worker.engine.stack import Stack
from worker.spec.families.model import Hidden, HookResult


def drawing(stack: Stack, hook: str) -> list[Callable[..., Any]]:
    """Return a hook with a parameter ``rng`` of every part that defines it, bound to part and draws."""
    return [partial(getattr(part, hook), rng=draws) for part, draws in stack.with_hook(hook)]


def plain(stack: Stack, hook: str) -> list[Callable[..., Any]]:
    """Return a hook without random numbers of every part that defines it, bound to the part."""
    return [getattr(part, hook) for part, _ in stack.with_hook(hook)]


class HookSet:
    """The hooks of a training step: those of regularizers, by the names in their family, of loss and of optimizer."""

    def __init__(self, stack: Stack) -> None:
        self.mix = drawing(stack, "mix")
        """Each (x, targets) → (x, targets)."""
        self.inputs = drawing(stack, "inputs")
        """Each changes x in place."""
        self._training = TrainingHooks(stack)
        self.hidden: Hidden = self._training
        """Those on the activations of hidden layers: ``act`` and ``grad_of_activations``."""
        self.smooth = plain(stack, "smooth")
        """Each changes targets in place."""
        self.grad_of_outputs = plain(stack, "grad_of_outputs")
        """Each (log_p, g, rows) changes g in place."""
        self.grad_of_inputs = drawing(stack, "grad_of_inputs")
        """Each (network, outputs, rows) adds to the gradients of the network."""
        self.grad: list[Callable[[], None]] = []
        """Each adds a penalty's gradient to the gradient of one weight matrix."""
        self.disturb: list[Callable[..., None]] = []
        """Each changes the gradient of one parameter in place, given the number of the step as ``t``."""
        self.clip: list[Callable[[], None]] = []
        """Each bounds the gradients of all parameters in place."""
        self.forward_weights = ForwardWeights(stack)
        self.prox: list[Callable[[Tensor], None]] = []
        """Each changes one weight matrix in place, given the learning rates (K, 1, 1)."""
        self.average: list[Callable[[int], None]] = []
        """Each adds the weights after a step, given its number, to their average."""
        if len(stack):
            if stack.averages is not None:
                self.average.append(stack.averages.add_step)
            loss = stack.loss
            self.predict, self.statistic, self.loss, self.gradient = (
                loss.predict,
                loss.statistic,
                loss.loss,
                loss.gradient,
            )
            self.update = stack.optimizer.update
            if stack.clipping is not None:
                self.clip.append(partial(stack.clipping.clip, list(stack.gradients.values())))
        for part, _ in stack.with_hook("grad"):
            self.grad += [partial(part.grad, w, g) for w, g in stack.penalized_weights(part)]
        for part, draws in stack.with_hook("disturb"):
            gradients = stack.gradients.items()
            self.disturb += [partial(part.disturb, g.flatten(1), rng=draws, name=name) for name, g in gradients]
        for part, _ in stack.with_hook("prox"):
            self.prox += [partial(part.prox, w) for w, _ in stack.penalized_weights(part)]

    def enter_batch(self, rows: int) -> None:
        """Prepare for the passes of a batch of ``rows`` rows, over which means are taken."""
        self._training.batch_rows = rows


class ForwardWeights:
    """The weights of a stack during forward and backward of a batch, where parts change them for so long."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._changes: list[tuple[Tensor, Callable[[], Tensor | None]]] = []
        self._factors: list[tuple[Tensor, Tensor]] = []
        self._clean: Tensor | None = None
        matrices = [name for name, shape in stack.layout.shapes.items() if len(shape) > 1]
        for part, draws in stack.with_hook("forward_weights"):
            for name in matrices:
                w, g = (views[name].flatten(2) for views in (stack.parameters, stack.gradients))
                self._changes.append((g, partial(part.forward_weights, w, rng=draws, name=name)))

    def enter(self, epoch: int, first: int) -> None:
        """Change the weights for the batch that begins at position ``first`` of ``epoch``."""
        if self._changes:
            self._stack.seek(epoch, first, 1)
            self._clean = self._stack.weights.clone()
            factors = [(g, change()) for g, change in self._changes]
            self._factors = [(g, factor) for g, factor in factors if factor is not None]

    def leave(self) -> None:
        """Restore the weights, and turn the gradient into that of the restored ones."""
        if self._clean is not None:
            self._stack.weights.copy_(self._clean)
            for g, factor in self._factors:
                g.mul_(factor)
            self._clean = None


class PlainHooks:
    """Training without regularizers."""

    training = True
    keeps = False

    def __call__(self, a: Tensor, layer: int) -> HookResult:
        """Leave ``a`` as it is."""
        return HookResult()


class TrainingHooks:
    """Regularizers on hidden units in training mode; on rows to ``transfer``, those that need labels do nothing."""

    training = True

    def __init__(self, stack: Stack, *, transfer: bool = False) -> None:
        self._act = drawing(stack, "act")
        self._gradients = [] if transfer else plain(stack, "grad_of_activations")
        self._mix = [] if transfer else drawing(stack, "mix_hidden")
        self.keeps = bool(self._gradients or self._mix)
        self.batch_rows = 0
        """Rows of the whole batch of which activations arrive."""

    def __call__(self, a: Tensor, layer: int) -> HookResult:
        """Change ``a`` (K, N, H) in place; return what that does to its gradient."""
        added: Tensor | None = None
        for gradient in self._gradients:
            own: Tensor = gradient(a, self.batch_rows)
            added = own if added is None else added + own
        unmixing = [mix(a, layer=layer) for mix in self._mix]
        factor: Tensor | None = None
        for act in self._act:
            own = act(a, layer=layer)
            factor = own if factor is None else factor.mul_(own)
        return HookResult(factor, added, _chained(unmixing[::-1]) if unmixing else None)


def _chained(changes: Sequence[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    """Return the function that applies ``changes`` one after the other."""
    return lambda g: functools.reduce(lambda changed, change: change(changed), changes, g)


class EvaluationHooks:
    """Evaluation mode: nothing is random, and ``look`` gets the activations of every hidden layer."""

    training = False
    keeps = False

    def __init__(self, stack: Stack, look: Callable[[Tensor], Any] | None = None) -> None:
        self._scale = plain(stack, "scale")
        self._look = look

    def inputs(self, x: Tensor) -> Tensor:
        """Return the inputs that the model gets; ``x`` itself is unchanged."""
        if self._scale:
            x = x.clone()
            for scale in self._scale:
                scale(x, -1)
        return x

    def __call__(self, a: Tensor, layer: int) -> HookResult:
        """Scale ``a`` in place."""
        if self._look is not None:
            self._look(a)
        for scale in self._scale:
            scale(a, layer)
        return HookResult()
