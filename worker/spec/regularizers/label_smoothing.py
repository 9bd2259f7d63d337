"""Label smoothing: no label is quite certain.

    t̃ = (1 − α)·t + α/C        (t is one at the label, C the number of classes)

``train.loss`` stays the cross-entropy with the labels themselves, so that curves can be compared; what the smoothing
adds to it is recorded as ``penalty.label_smoothing`` and is part of ``train.objective``.

Reference: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, 2016, "Rethinking the inception architecture for computer
vision", section 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor


class LabelSmoothing(Regularizer):
    """Train on targets that give every class a share α/C."""

    equation: ClassVar[str] = "t̃ = (1 − α)·t + α/C"
    reference: ClassVar[str] = (
        "Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2016, Rethinking the inception architecture for computer vision"
    )
    neutral: ClassVar[dict[str, float]] = {"amount": 0.0}
    for_classes: ClassVar[bool] = True

    kind: Literal["label_smoothing"] = "label_smoothing"
    amount: PerRun[float] = Field(default=0.1, ge=0, lt=1, description="α, the share that goes to all classes alike.")

    @staticmethod
    def smooth(part: Stacked[LabelSmoothing], targets: Tensor) -> None:
        """(1 − α)·t + α/C, in place."""
        amount = part.column("amount", 3)
        targets.mul_(1 - amount).add_(amount / targets.shape[2])

    @staticmethod
    def penalty_of_outputs(part: Stacked[LabelSmoothing], log_p: Tensor, y: Tensor) -> Tensor:
        """α·(log p_y − mean of log p), what the smoothed cross-entropy has more than the plain one; (K, N)."""
        mean = summed(log_p) / log_p.shape[2]
        return part.column("amount", 2) * (log_p.gather(2, y.unsqueeze(2)) - mean).squeeze(2)
