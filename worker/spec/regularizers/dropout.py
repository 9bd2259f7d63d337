"""Dropout: leave each hidden unit out at random, so that no unit can rely on another.

    training     ã = a ⊙ m / (1 − p),    m ~ Bernoulli(1 − p)
    evaluation   ã = a

Reference: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014, "Dropout: a simple way to prevent
neural networks from overfitting" (the inverted form: rescaled in training instead of at evaluation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families import Draws, Regularizer
from worker.spec.part import Objection, PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec


class Dropout(Regularizer):
    """Set each hidden activation to zero with probability p, after its nonlinearity, and scale the others up."""

    equation: ClassVar[str] = "ã = a ⊙ m / (1 − p),  m ~ Bernoulli(1 − p)"
    reference: ClassVar[str] = (
        "Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting"
    )
    neutral: ClassVar[dict[str, float]] = {"p": 0.0}

    kind: Literal["dropout"] = "dropout"
    p: PerRun[float] = Field(default=0.5, ge=0, le=0.99, description="Probability of being left out, in steps of 2⁻¹⁶.")

    def objections(self, run: RunSpec) -> list[Objection]:
        """Refuse a model without hidden layers: nothing would be dropped."""
        if run.model.hidden_layers:
            return []
        message = f"The model {run.model.kind!r} has no hidden layer to drop units of; use 'mlp' or leave dropout out."
        return [Objection(field=None, message=message)]

    @staticmethod
    def act(part: Stacked[Dropout], a: Tensor, draws: Draws, layer: int) -> Tensor:
        """Drop units of ``a`` (K, N, H) in place; returns m / (1 − p), the gradient's factor."""
        p = (part.column("p", 3) * 65536).round() / 65536
        drawn = draws.int16(f"layer{layer}", a.shape[-1])
        factor = (drawn >= p * 65536 - 32768).to(a.dtype).mul_(1 / (1 - p))
        a.mul_(factor)
        return factor
