"""DropConnect: leave weights out at random, where ``dropout`` leaves out units.

    training w̃ = w ⊙ m / (1 − p),    m ~ Bernoulli(1 − p) for each weight and batch;    evaluation w̃ = w

Forward and backward of a batch use w̃, and the step changes w. Biases stay. The paper draws other weights for each row,
which is too much for a product of matrices, and evaluates by sampling; the mean weights are its first approximation.

Reference: Wan, Zeiler, Zhang, LeCun and Fergus, 2013, "Regularization of neural networks using DropConnect".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class DropConnect(Regularizer):
    """Set each weight to zero with probability p in each batch's forward and backward pass."""

    equation: ClassVar[str] = "w̃ = w ⊙ m / (1 − p),  m ~ Bernoulli(1 − p)"
    reference: ClassVar[str] = (
        "Wan, Zeiler, Zhang, LeCun and Fergus 2013, Regularization of neural networks using DropConnect"
    )
    neutral: ClassVar[dict[str, float]] = {"p": 0.0}

    kind: Literal["drop_connect"] = "drop_connect"
    p: PerRun[float] = Field(default=0.5, ge=0, le=0.99, description="Probability of being left out, in steps of 2⁻¹⁶.")

    @staticmethod
    def forward_weights(part: Stacked[DropConnect], w: Tensor, rng: Rng, name: str) -> Tensor:
        """Drop weights of ``w`` (K, out, in) in place; returns the gradient's factor."""
        p = (part.column("p", 3) * 65536).round() / 65536
        drawn = rng.batch_int16(name, w.shape[1] * w.shape[2]).view(w.shape)
        factor = (drawn >= p * 65536 - 32768).to(w.dtype).mul_(1 / (1 - p))
        w.mul_(factor)
        return factor
