"""End when the training loss is low enough.

    stop after epoch e  if  train.loss_e < threshold

Reference: Bishop, 1995, "Neural networks for pattern recognition", section 7.5 (criteria for ending training).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.stop import Stop


class TrainLossBelow(Stop):
    """End the run after the first epoch whose train.loss is below ``threshold``."""

    equation: ClassVar[str] = "stop after e if train.loss_e < threshold"
    reference: ClassVar[str] = "Bishop 1995, Neural networks for pattern recognition, section 7.5"

    kind: Literal["train_loss_below"] = "train_loss_below"
    threshold: float = Field(gt=0, examples=[0.1], description="In the loss's unit (nats).")

    @property
    def watched(self) -> str:
        """``train.loss``."""
        return "train.loss"

    def stopped(self, history: Mapping[str, Sequence[float | None]]) -> bool:
        """Whether the last train.loss is below the threshold."""
        losses = history.get("train.loss", ())
        return bool(losses) and self._is_below(losses[-1])

    def first_stop(self, history: Mapping[str, Sequence[float | None]]) -> int | None:
        """Return the first epoch whose train.loss is below the threshold; None if none is."""
        return next((n for n, loss in enumerate(history.get("train.loss", ()), 1) if self._is_below(loss)), None)

    def _is_below(self, loss: float | None) -> bool:
        return loss is not None and loss < self.threshold
