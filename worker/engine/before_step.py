"""Changes of the gradient between the backward pass and the optimizer."""

from __future__ import annotations

from worker.engine.hooks import HookSet


def shape_gradient(hooks: HookSet) -> None:
    """Add the gradients of the penalties on weights to the stack's gradient, in place."""
    for add in hooks.grad:
        add()
