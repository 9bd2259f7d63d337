"""Changes of the gradient between the backward pass and the optimizer."""

from __future__ import annotations

from worker.engine.hooks import HookSet


def shape_gradient(hooks: HookSet, t: int) -> None:
    """Add the gradients of the penalties on weights to the stack's gradient, and its noise in step ``t``; bound it."""
    for add in hooks.grad:
        add()
    for disturb in hooks.disturb:
        disturb(t=t)
    for clip in hooks.clip:
        clip()
