"""Gradient noise: every step goes a little astray, less and less so.

    g ← g + σ_t·ε,    ε ~ N(0, 1) for each parameter,    σ_t² = η / (1 + t)^γ

t counts the steps of the run. The noise is added to the gradient of the loss and all penalties, before any clipping.

Reference: Neelakantan, Vilnis, Le, Sutskever, Kaiser, Kurach and Martens, 2015, "Adding gradient noise improves
learning for very deep networks", which tries η = 0.01, 0.3 and 1 with γ = 0.55; Welling and Teh, 2011, "Bayesian
learning via stochastic gradient Langevin dynamics".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class GradientNoise(Regularizer):
    """Add normal noise, which shrinks from step to step, to the gradient of every parameter."""

    equation: ClassVar[str] = "g ← g + σ_t·ε,  ε ~ N(0, 1),  σ_t² = η / (1 + t)^γ"
    reference: ClassVar[str] = "Neelakantan et al. 2015, Adding gradient noise improves learning for very deep networks"
    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}

    kind: Literal["gradient_noise"] = "gradient_noise"
    strength: PerRun[float] = Field(
        default=0.01, ge=0, le=1e6, description="η, the variance at the start; 0 is the same as leaving the part out."
    )
    decay: PerRun[float] = Field(default=0.55, ge=0, le=10, description="γ, how fast the variance shrinks.")

    @staticmethod
    def disturb(part: Stacked[GradientNoise], g: Tensor, rng: Rng, name: str, t: int) -> None:
        """Add σ_t·ε to ``g`` (K, n)."""
        deviations = [(one.strength / (1 + t) ** one.decay) ** 0.5 for one in part.parts]
        g.addcmul_(rng.batch_normal(name, g.shape[1]), g.new_tensor(deviations).unsqueeze(1))
