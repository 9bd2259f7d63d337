"""Exponential decay: the learning rate falls by the same factor in every epoch.

    η_e = η · γ^(e − 1)

Reference: Darken and Moody, 1991, "Note on learning rate schedules for stochastic optimization".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.schedule import Schedule


class Exponential(Schedule):
    """Multiply the learning rate by ``gamma`` after every epoch."""

    equation: ClassVar[str] = "η_e = η · γ^(e − 1)"
    reference: ClassVar[str] = "Darken and Moody 1991, Note on learning rate schedules for stochastic optimization"

    kind: Literal["exponential"] = "exponential"
    gamma: float = Field(gt=0, le=1, examples=[0.95], description="γ, the factor from one epoch to the next.")

    def factor(self, epoch: int, epochs: int) -> float:
        """γ^(e − 1)."""
        return float(self.gamma ** (epoch - 1))
