"""Group lasso: remove whole units, where ``l1`` removes single weights.

    J = loss + λ · Σ_j √n·‖w_j‖₂
    by a proximal step after the optimizer's:    w_j ← w_j · max(0, 1 − η·λ·√n / ‖w_j‖₂)

w_j are the n incoming weights of unit j, or the kernels of an output channel. A unit whose weights are all zero has the
same output for every row, so it can be removed from the network.

Reference: Yuan and Lin, 2006, "Model selection and estimation in regression with grouped variables" (the penalty and
√n); Scardapane, Comminiello, Hussain and Uncini, 2017, "Group sparse regularization for deep neural networks".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor


class GroupLasso(Regularizer):
    """Add λ times the norms of the units' incoming weights, so that whole units become exactly zero."""

    equation: ClassVar[str] = "J = loss + λ · Σ_j √n·‖w_j‖₂;  w_j ← w_j · max(0, 1 − η·λ·√n / ‖w_j‖₂)"
    reference: ClassVar[str] = "Yuan and Lin 2006, Model selection and estimation in regression with grouped variables"
    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}

    kind: Literal["group_lasso"] = "group_lasso"
    strength: PerRun[float] = Field(
        ge=0, le=1e6, examples=[1e-4], description="λ; 0 is the same as leaving the part out."
    )

    @staticmethod
    def penalty(part: Stacked[GroupLasso], w: Tensor) -> Tensor:
        """λ·√n·‖w_j‖ of each row of ``w`` (K, out, in), (K, out, 1)."""
        return part.column("strength", 3) * math.sqrt(w.shape[2]) * _norms(w)

    @staticmethod
    def prox(part: Stacked[GroupLasso], w: Tensor, learning_rate: Tensor) -> None:
        """Shorten every row by η·λ·√n, and no further than to zero."""
        import torch

        threshold = part.column("strength", 3) * learning_rate * math.sqrt(w.shape[2])
        factor = (1 - threshold / _norms(w).clamp_min(1e-30)).clamp_min(0)
        w.mul_(torch.where(threshold > 0, factor, 1))


def _norms(w: Tensor) -> Tensor:
    """The norm of each row of ``w`` (K, out, in), (K, out, 1)."""
    return summed(w.square()).sqrt_()
