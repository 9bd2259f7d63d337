"""KL sparsity: hidden units are active only now and then.

    J = loss + β · Σ_j KL(ρ ‖ ρ̂_j),    KL(ρ ‖ ρ̂) = ρ·log(ρ/ρ̂) + (1 − ρ)·log((1 − ρ)/(1 − ρ̂))

ρ̂_j is the mean of hidden unit j's activations over the batch, before dropout. The divergence is that of two coins, so
it is defined for means between 0 and 1 (a sigmoid's). For other activations ρ̂ is taken as the nearest number in
[0.001, 0.999], with the gradient that the divergence has there: a unit that is too active is still pushed down.

Reference: Ng, 2011, "Sparse autoencoder" (CS294A lecture notes); Lee, Ekanadham and Ng, 2008, "Sparse deep belief net
model for visual area V2".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import Objection, PerRun, Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec


class KLSparsity(Regularizer):
    """Add β times the divergence of each hidden unit's mean activation from ρ."""

    equation: ClassVar[str] = "J = loss + β · Σ_j KL(ρ ‖ ρ̂_j)"
    reference: ClassVar[str] = "Ng 2011, Sparse autoencoder (CS294A lecture notes)"
    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}
    presupposes_layers: ClassVar[bool] = True

    kind: Literal["kl_sparsity"] = "kl_sparsity"
    target: PerRun[float] = Field(
        default=0.05, gt=0, lt=1, description="ρ, how active a unit is meant to be on average."
    )
    strength: PerRun[float] = Field(
        ge=0, le=1e6, examples=[1e-3], description="β; 0 is the same as leaving the part out."
    )

    def objections(self, run: RunSpec) -> list[Objection]:
        """Refuse a model without hidden layers: there is nothing to keep quiet."""
        if run.effective_model.hidden_layers(run.dataset.shape):
            return []
        message = f"The model {run.model.kind!r} has no hidden layer whose units could be sparse; use 'mlp'."
        return [Objection(field=None, message=message)]

    @staticmethod
    def penalty_of_activations(part: Stacked[KLSparsity], a: Tensor) -> Tensor:
        """β·KL(ρ ‖ ρ̂) of each unit, (K, H)."""
        rho, mean = part.column("target", 2), _mean(a).squeeze(1)
        divergence = rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()
        return part.column("strength", 2) * divergence

    @staticmethod
    def grad_of_activations(part: Stacked[KLSparsity], a: Tensor, rows: int) -> Tensor:
        """Of the means over these rows alone, β/N·(−ρ/ρ̂ + (1 − ρ)/(1 − ρ̂)), (K, 1, H)."""
        rho, mean = part.column("target", 3), _mean(a)
        return (part.column("strength", 3) / a.shape[1]) * ((1 - rho) / (1 - mean) - rho / mean)


def _mean(a: Tensor) -> Tensor:
    """ρ̂: the mean over the rows of ``a`` (K, N, H), within the range in which KL is kept, (K, 1, H)."""
    return (summed(a.transpose(1, 2)).transpose(1, 2) / a.shape[1]).clamp(0.001, 0.999)
