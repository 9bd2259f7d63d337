"""L2 penalty (weight decay): keep weights small.

    J = loss + λ/2 · Σ‖W‖²        so       ∂J/∂W = ∂loss/∂W + λ·W

With ``biases`` it is what ``weight_decay`` of ``torch.optim.SGD`` does. A textbook's λ/2m is this with λ/m.

Reference: Krogh and Hertz, 1991, "A simple weight decay can improve generalization".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class L2(Regularizer):
    """Add λ/2 times the squared norm of every weight matrix, and of the biases if `biases` is set."""

    equation: ClassVar[str] = "J = loss + λ/2 · Σ‖W‖²"
    reference: ClassVar[str] = "Krogh and Hertz 1991, A simple weight decay can improve generalization"
    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}

    kind: Literal["l2"] = "l2"
    strength: PerRun[float] = Field(
        ge=0, le=1e6, examples=[1e-4], description="λ; 0 is the same as leaving the part out."
    )
    biases: bool = Field(default=False, description="Whether biases are penalised too, as torch's weight_decay does.")

    @staticmethod
    def penalty(part: Stacked[L2], w: Tensor) -> Tensor:
        """λ/2·w² for each weight of ``w`` (K, out, in)."""
        return part.column("strength", 3) / 2 * w.square()

    @staticmethod
    def grad(part: Stacked[L2], w: Tensor, g: Tensor) -> None:
        """Add λ·w to ``g``."""
        g.addcmul_(w, part.column("strength", 3))
