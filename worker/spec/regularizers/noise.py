"""Noise on the inputs: what is learned must not hang on the exact values.

    x̃ = x + σ·ε,    ε ~ N(0, 1) for each input of each row in each epoch

σ is in the unit of the model's inputs: after images were scaled to [0, 1] and normalised.

Reference: Bishop, 1995, "Training with noise is equivalent to Tikhonov regularization".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class Noise(Regularizer):
    """Add normal noise to the inputs while training."""

    equation: ClassVar[str] = "x̃ = x + σ·ε,  ε ~ N(0, 1)"
    reference: ClassVar[str] = "Bishop 1995, Training with noise is equivalent to Tikhonov regularization"
    neutral: ClassVar[dict[str, float]] = {"std": 0.0}

    kind: Literal["noise"] = "noise"
    std: PerRun[float] = Field(ge=0, le=1e6, examples=[0.1], description="σ; 0 is the same as leaving the part out.")

    @staticmethod
    def inputs(part: Stacked[Noise], x: Tensor, rng: Rng) -> None:
        """Add σ·ε to ``x`` (K, N, D)."""
        x.addcmul_(rng.normal("noise", x.shape[2]), part.column("std", 3))
