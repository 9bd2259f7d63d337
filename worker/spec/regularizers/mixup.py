"""Mixup: between two examples lies a mixture of their labels.

    x̃ = λ·x_i + (1 − λ)·x_j,    t̃ = λ·t_i + (1 − λ)·t_j,    λ ~ Beta(α, α)

j is another row of the batch, drawn for each row, and so is λ. ``train.loss`` is the cross-entropy with the mixed
labels, as they were trained on; ``train.loss_eval`` is that of the data as they are.

Reference: Zhang, Cisse, Dauphin and Lopez-Paz, 2018, "mixup: beyond empirical risk minimization".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.hooks import Rng
from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class Mixup(Regularizer):
    """Train on mixtures of pairs of rows."""

    equation: ClassVar[str] = "x̃ = λ·x_i + (1 − λ)·x_j,  t̃ = λ·t_i + (1 − λ)·t_j,  λ ~ Beta(α, α)"
    reference: ClassVar[str] = "Zhang, Cisse, Dauphin and Lopez-Paz 2018, mixup: beyond empirical risk minimization"

    kind: Literal["mixup"] = "mixup"
    alpha: PerRun[float] = Field(default=0.2, gt=0, le=100, description="α: near 0 rows are hardly mixed, at 1 evenly.")

    @staticmethod
    def mix(part: Stacked[Mixup], x: Tensor, targets: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """Every row with a partner and a λ of its own."""
        share = rng.beta("share", [one.alpha for one in part.parts]).unsqueeze(2)
        other = partners(rng, x.shape[1]).unsqueeze(2)
        rows = x.flatten(2)
        mixed = rows * share + rows.gather(1, other.expand(rows.shape)) * (1 - share)
        return mixed.view(x.shape), targets * share + targets.gather(1, other.expand(targets.shape)) * (1 - share)


def partners(rng: Rng, rows: int) -> Tensor:
    """For each row another of the batch's ``rows``, (K, N)."""
    return (rng.uniform("partner") * rows).long().clamp_max(rows - 1)
