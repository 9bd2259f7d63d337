"""Step decay: the learning rate falls by a factor every so many epochs.

    η_e = η · γ^⌊(e − 1)/every⌋

Reference: Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep convolutional neural networks".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.schedule import Schedule


class Step(Schedule):
    """Multiply the learning rate by ``gamma`` every ``every`` epochs."""

    equation: ClassVar[str] = "η_e = η · γ^⌊(e − 1)/every⌋"
    reference: ClassVar[str] = "Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep CNNs"

    kind: Literal["step"] = "step"
    every: int = Field(ge=1, examples=[10], description="Epochs between two falls.")
    gamma: float = Field(default=0.1, gt=0, le=1, description="γ, the factor of each fall.")

    def factor(self, epoch: int, epochs: int) -> float:
        """γ to the power of the falls so far."""
        return float(self.gamma ** ((epoch - 1) // self.every))
