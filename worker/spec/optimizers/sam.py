"""Sharpness-aware minimization: step by the gradient at the worst point nearby, so that minima are flat.

    ŵ = w + ρ·g / (‖g‖ + 1e-12),    g = ∇loss(w)
    w ← w − the step of the other optimizer for ∇loss(ŵ)

‖g‖ is over all parameters of the run. Penalties on weights are left out of the ascent and added to the second gradient.
Both gradients have the same rows and random draws; what a run records of its batches, and the statistics of batch norm,
are of the first. A step takes about twice as long.

Reference: Foret, Kleiner, Mobahi and Neyshabur, 2021, "Sharpness-aware minimization for efficiently improving
generalization".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import Step, WrappingOptimizer
from worker.spec.part import PerRun, Stacked
from worker.spec.sums import joint_norm

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.optimizers import AnyOptimizer

EPSILON = 1e-12


class SAM(WrappingOptimizer):
    """Let ``optimizer`` step by the gradient at a distance ``rho`` uphill."""

    equation: ClassVar[str] = "ŵ = w + ρ·g/‖g‖;  w ← the step of the optimizer inside for ∇loss(ŵ)"
    reference: ClassVar[str] = (
        "Foret et al. 2021, Sharpness-aware minimization for efficiently improving generalization"
    )
    ascends: ClassVar[bool] = True

    kind: Literal["sam"] = "sam"
    optimizer: AnyOptimizer = Field(
        examples=[{"kind": "momentum", "lr": 0.05}], description="The optimizer that takes the steps."
    )
    rho: PerRun[float] = Field(default=0.05, ge=0, le=1e3, description="ρ, the distance; 0 is the optimizer alone.")

    @staticmethod
    def ascend(part: Stacked[SAM], weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """W + ρ·g/‖g‖."""
        factor = part.column("rho", 2) / (joint_norm(gradients) + EPSILON)
        for w, g in zip(weights, gradients, strict=True):
            w.addcmul_(g, factor.view(-1, *(1,) * (g.dim() - 1)))

    @staticmethod
    def update(part: Stacked[SAM], step: Step) -> None:
        """The step of the optimizer inside."""
        part.inner("optimizer").update(step)
