"""Steps that several optimizers share: Adam's, and decoupled weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.families.optimizer import Step
    from worker.spec.part import Stacked


def decay_weights(part: Stacked[Any], step: Step) -> None:
    """Multiply the parameters that ``decay_on`` names by 1 − η·λ, with λ the field ``weight_decay``."""
    factor = 1 - step.learning_rate * part.column("weight_decay", 2)
    if part.decay_on == "all":
        step.w.mul_(factor)
        return
    for w in step.matrices(step.w):
        w.mul_(factor.unsqueeze(2))


def adam_step(step: Step, beta1: float, beta2: float, eps: Tensor) -> None:
    """Take Adam's step with bias correction; ``eps`` has shape (K, 1)."""
    m, v = step.state["exp_avg"], step.state["exp_avg_sq"]
    m.lerp_(step.g, 1 - beta1)
    v.mul_(beta2).addcmul_(step.g, step.g, value=1 - beta2)
    # √(v / c) + ε = (√v + ε·√c) / √c: the correction changes two numbers per run and needs no pass over all weights.
    root = (1 - beta2**step.t) ** 0.5
    rate = step.learning_rate * (root / (1 - beta1**step.t))
    step.w.addcdiv_(_scaled(m, rate, step.g), v.sqrt().add_(eps * root), value=-1)


def _scaled(x: Tensor, factor: Tensor, out: Tensor) -> Tensor:
    """Return ``x · factor`` in the memory of ``out``."""
    import torch

    return torch.mul(x, factor, out=out)
