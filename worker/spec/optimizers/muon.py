"""Muon: momentum whose matrices are made orthogonal, so that a step is as long in every direction.

    m ← μ·m + (1 − μ)·g,    u = (1 − μ)·g + μ·m
    matrices    w ← w − η·0.2·√max(out, in) · NS₅(u),        NS₅(u) ≈ U·Vᵀ  of  u = U·Σ·Vᵀ
    vectors     Adam's step with β₁ = μ

NS₅ is five steps of a Newton–Schulz iteration, x ← a·x + (b·A + c·A²)·x with A = x·xᵀ, from x = u/‖u‖. It needs
matrices; biases take Adam's steps. The factor 0.2·√max(out, in) makes a step as long as Adam's, so that one η suits
both.

Reference: Jordan, Jin, Boza, You, Cesista, Newhouse and Bernstein, 2024, "Muon: an optimizer for hidden layers in
neural networks"; Liu et al., 2025, "Muon is scalable for LLM training" (the factor).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.adaptive import decay_weights
from worker.spec.families.optimizer import DecayOn, LearningRateOptimizer, Step, decay_on_field, learning_rate_field
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class Muon(LearningRateOptimizer):
    """Orthogonalised momentum for weight matrices, Adam for biases."""

    equation: ClassVar[str] = "m ← μm + (1−μ)g;  w ← w − η·0.2·√max(out, in)·NS₅((1−μ)g + μm)"
    reference: ClassVar[str] = "Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks"
    state: ClassVar[tuple[str, ...]] = ("momentum_buffer", "exp_avg_sq")
    multiplies: ClassVar[bool] = True

    kind: Literal["muon"] = "muon"
    lr: PerRun[float] = learning_rate_field(0.005)
    momentum: float = Field(default=0.95, ge=0, lt=1, description="μ, the decay of the mean of the gradient.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="β₂ of Adam's steps, for biases.")
    eps: PerRun[float] = Field(default=1e-8, gt=0, le=1, description="ε of Adam's steps, for biases.")
    weight_decay: PerRun[float] = Field(default=0.0, ge=0, le=1e6, description="λ, decoupled as in AdamW.")
    decay_on: DecayOn = decay_on_field()

    @staticmethod
    def update(part: Stacked[Muon], step: Step) -> None:
        """Adam's direction everywhere, then the orthogonal one in its place for matrices."""
        m, v = step.state["momentum_buffer"], step.state["exp_avg_sq"]
        m.lerp_(step.g, 1 - part.momentum)
        v.mul_(part.beta2).addcmul_(step.g, step.g, value=1 - part.beta2)
        decay_weights(part, step)
        denominator = (v / (1 - part.beta2**step.t)).sqrt_().add_(part.column("eps", 2))
        direction = (m / (1 - part.momentum**step.t)).div_(denominator)
        ahead = step.matrices(step.g.lerp_(m, part.momentum))
        for u, into in zip(ahead, step.matrices(direction), strict=True):
            into.copy_(orthogonal(u).mul_(0.2 * max(u.shape[1:]) ** 0.5))
        step.w.addcmul_(direction, step.learning_rate, value=-1)


COEFFICIENTS = 3.4445, -4.7750, 2.0315
ITERATIONS = 5


def orthogonal(u: Tensor) -> Tensor:
    """NS₅ of each matrix of ``u`` (K, out, in): singular values come near 1, singular vectors stay."""
    import torch

    from worker.spec.sums import ordered_sum

    a, b, c = COEFFICIENTS
    wide = u.shape[1] <= u.shape[2]
    norm = ordered_sum(u.square().flatten(1)).sqrt().to(u.dtype).clamp_min(1e-7).view(-1, 1, 1)
    x = (u if wide else u.transpose(1, 2)) / norm
    for _ in range(ITERATIONS):
        gram = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.transpose(1, 2)
