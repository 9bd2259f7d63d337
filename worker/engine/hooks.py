"""Hooks on the activations between a stack's layers, in training and in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from worker.engine.stack import Stack
from worker.spec.families.model import HookResult


class PlainHooks:
    """Training without regularizers."""

    training = True
    keeps = False

    def __call__(self, a: Tensor, layer: int) -> HookResult:
        """Leave ``a`` as it is."""
        return HookResult()


class TrainingHooks:
    """Every regularizer that acts on hidden units does so."""

    training = True

    def __init__(self, stack: Stack, *, penalties: bool = True) -> None:
        self._acting = stack.with_hook("act")
        self._adding = stack.with_hook("grad_of_activations") if penalties else []
        self.keeps = bool(self._adding)

    def __call__(self, a: Tensor, layer: int) -> HookResult:
        """Change ``a`` (K, N, H) in place; what the gradient is multiplied by, and what is added to it."""
        added: Tensor | None = None
        for part, _ in self._adding:
            own: Tensor = part.implementation.grad_of_activations(part, a)
            added = own if added is None else added.add_(own)
        factor: Tensor | None = None
        for part, draws in self._acting:
            own = part.implementation.act(part, a, draws, layer)
            factor = own if factor is None else factor.mul_(own)
        return HookResult(factor, added)


class EvaluationHooks:
    """Nothing is random; ``look`` sees the activations of every hidden layer."""

    training = False
    keeps = False

    def __init__(self, stack: Stack, look: Callable[[Tensor], Any] | None = None) -> None:
        self._scaling = stack.with_hook("scale")
        self._look = look

    def inputs(self, x: Tensor) -> Tensor:
        """The inputs as the model is to see them; ``x`` itself is left as it is."""
        if self._scaling:
            x = x.clone()
            for part, _ in self._scaling:
                part.implementation.scale(part, x, -1)
        return x

    def __call__(self, a: Tensor, layer: int) -> HookResult:
        """Scale where a part asks for it."""
        if self._look is not None:
            self._look(a)
        for part, _ in self._scaling:
            part.implementation.scale(part, a, layer)
        return HookResult()
