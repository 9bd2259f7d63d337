"""Changes of the weights after the optimizer's step."""

from __future__ import annotations

from torch import Tensor

from worker.engine.hooks import HookSet


def finish_step(hooks: HookSet, learning_rate: Tensor, t: int) -> None:
    """Apply proximal steps and projections of step ``t`` in place, and average; ``learning_rate`` is (K, 1)."""
    rates = learning_rate.unsqueeze(2)
    for shrink in hooks.prox:
        shrink(rates)
    for average in hooks.average:
        average(t)
