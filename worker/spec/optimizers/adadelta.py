"""Adadelta: steps as long as the recent ones, in the units of the weights, so that η is a plain factor.

    v ← ρ·v + (1 − ρ)·g²
    Δ = g · √(d + ε) / √(v + ε)
    d ← ρ·d + (1 − ρ)·Δ²
    w ← w − η·Δ

Reference: Zeiler, 2012, "ADADELTA: an adaptive learning rate method".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import PerRun, Stacked


class Adadelta(LearningRateOptimizer):
    """Divide by a running root mean square of the gradient, multiply by one of the steps."""

    equation: ClassVar[str] = "v ← ρv + (1−ρ)g²;  Δ = g·√(d+ε) / √(v+ε);  d ← ρd + (1−ρ)Δ²;  w ← w − η·Δ"
    reference: ClassVar[str] = "Zeiler 2012, ADADELTA: an adaptive learning rate method"
    state: ClassVar[tuple[str, ...]] = ("square_avg", "acc_delta")

    kind: Literal["adadelta"] = "adadelta"
    lr: PerRun[float] = learning_rate_field(1.0)
    rho: PerRun[float] = Field(default=0.9, ge=0, lt=1, description="ρ, the decay of both means.")
    eps: PerRun[float] = Field(default=1e-6, gt=0, le=1, description="ε, which also sets the first steps' length.")

    @staticmethod
    def update(part: Stacked[Adadelta], step: Step) -> None:
        """One step; Δ takes the gradient's memory."""
        rho, eps = part.column("rho", 2), part.column("eps", 2)
        v, d = step.state["square_avg"], step.state["acc_delta"]
        v.mul_(rho).addcmul_(step.g * (1 - rho), step.g)
        delta = step.g.mul_((d + eps).sqrt_()).div_((v + eps).sqrt_())
        d.mul_(rho).addcmul_(delta * (1 - rho), delta)
        step.w.addcmul_(delta, step.learning_rate, value=-1)
