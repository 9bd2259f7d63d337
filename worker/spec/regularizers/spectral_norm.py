"""Spectral norm: no layer may stretch a difference of its inputs by more than a limit.

    after every step, for each weight matrix:    W ← W · min(1, c / σ(W)),    σ(W) = max ‖W·v‖₂ / ‖v‖₂

σ(W) is computed by steps of power iteration, v ← W·Wᵀ·v, from a fixed vector. They approach it from below, within a few
percent after ten, so that c may be exceeded by as much. The kernels of an output channel are one row of a matrix, as in
``torch.nn.utils.parametrizations.spectral_norm``, which divides by σ instead and passes gradients through.

The products are exact sums of rounded numbers, with the same bits in every stack.

Reference: Gouk, Frank, Pfahringer and Cree, 2021, "Regularisation of neural networks by enforcing Lipschitz
continuity"; Yoshida and Miyato, 2017, "Spectral norm regularization for improving the generalizability of deep
learning".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked
from worker.spec.sums import fixed_point, ordered_sum

if TYPE_CHECKING:
    from torch import Tensor


class SpectralNorm(Regularizer):
    """Scale each weight matrix down to a spectral norm of at most c after every step; biases are left alone."""

    equation: ClassVar[str] = "W ← W · min(1, c / σ(W))"
    reference: ClassVar[str] = (
        "Gouk, Frank, Pfahringer and Cree 2021, Regularisation of neural networks by enforcing Lipschitz continuity"
    )
    neutral: ClassVar[dict[str, float]] = {"limit": 1e30}

    kind: Literal["spectral_norm"] = "spectral_norm"
    limit: PerRun[float] = Field(
        gt=0, le=1e30, examples=[1.0], description="c, the largest spectral norm of a layer; 1e30 is no limit."
    )
    iterations: int = Field(default=10, ge=1, le=100, description="Steps of power iteration after each step.")

    @staticmethod
    def prox(part: Stacked[SpectralNorm], w: Tensor, learning_rate: Tensor) -> None:
        """Scale the matrices of ``w`` (K, out, in) whose spectral norm is too large."""
        import torch

        limit, norm = part.column("limit", 3), spectral_norm(w, part.iterations).to(w.dtype)
        w.mul_(torch.where(norm > limit, limit / norm, 1))


def spectral_norm(w: Tensor, iterations: int) -> Tensor:
    """Return the largest singular value of each matrix of ``w`` (K, out, in), approached from below, (K, 1, 1)."""
    import numpy as np
    import torch

    wide = w if w.shape[1] <= w.shape[2] else w.transpose(1, 2)
    size, terms = wide.shape[1:]
    matrix = fixed_point(wide, terms)
    gram = fixed_point(matrix.times(matrix.transposed), size)
    start = torch.from_numpy(np.random.RandomState(0).random_sample(size) - 0.5).to(w.device)
    product = start.view(1, -1, 1).expand(len(w), -1, -1)
    for _ in range(iterations):
        v = fixed_point(product, size).whole  # its length does not matter
        product = torch.bmm(gram.whole, v).mul_(gram.unit)
    v_times_v, v_times_product = (ordered_sum((v * x).flatten(1)) for x in (v, product))
    return (v_times_product / v_times_v.clamp_min(1)).clamp_min(0).sqrt().view(-1, 1, 1)
