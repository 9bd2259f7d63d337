"""Max-norm: no unit's incoming weights may be longer than a limit.

    after every step, for each unit j:    w_j ← w_j · min(1, c / ‖w_j‖₂)

Reference: Srebro, Rennie and Jaakkola, 2005, "Maximum-margin matrix factorization"; Srivastava et al., 2014, "Dropout:
a simple way to prevent neural networks from overfitting" (with dropout, section 5.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor


class MaxNorm(Regularizer):
    """Project each unit's incoming weights into a ball of radius c after every step; biases are left alone."""

    equation: ClassVar[str] = "w_j ← w_j · min(1, c / ‖w_j‖₂)"
    reference: ClassVar[str] = "Srebro, Rennie and Jaakkola 2005, Maximum-margin matrix factorization"
    neutral: ClassVar[dict[str, float]] = {"limit": 1e30}

    kind: Literal["max_norm"] = "max_norm"
    limit: PerRun[float] = Field(
        gt=0, le=1e30, examples=[1.0], description="c, the largest norm of a unit's incoming weights; 1e30 is no limit."
    )

    @staticmethod
    def prox(part: Stacked[MaxNorm], w: Tensor, learning_rate: Tensor) -> None:
        """Scale the rows of ``w`` (K, out, in) that are too long."""
        norms = summed(w.square()).sqrt_()
        w.mul_((part.column("limit", 3) / norms.clamp_min(1e-30)).clamp_max(1))
