"""Noise on the weights: a minimum must be flat to be one.

    w̃ = w + σ·ε,    ε ~ N(0, 1) for each weight and batch

Forward and backward of a batch use w̃, and the step changes w. Biases have no noise, and neither has evaluation.

Reference: Murray and Edwards, 1994, "Enhanced MLP performance and fault tolerance resulting from synaptic weight noise
during training"; Graves, 2011, "Practical variational inference for neural networks" (σ = 0.075).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class WeightNoise(Regularizer):
    """Add normal noise to the weights of each batch's forward and backward pass."""

    equation: ClassVar[str] = "w̃ = w + σ·ε,  ε ~ N(0, 1)"
    reference: ClassVar[str] = "Murray and Edwards 1994, Enhanced MLP performance resulting from synaptic weight noise"
    neutral: ClassVar[dict[str, float]] = {"std": 0.0}

    kind: Literal["weight_noise"] = "weight_noise"
    std: PerRun[float] = Field(ge=0, le=1e6, examples=[0.05], description="σ; 0 is the same as leaving the part out.")

    @staticmethod
    def forward_weights(part: Stacked[WeightNoise], w: Tensor, rng: Rng, name: str) -> None:
        """Add σ·ε to ``w`` (K, out, in)."""
        noise = rng.batch_normal(name, w.shape[1] * w.shape[2]).view(w.shape)
        w.addcmul_(noise, part.column("std", 3))
