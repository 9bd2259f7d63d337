"""The same learning rate throughout.

    η_e = η

Reference: Robbins and Monro, 1951, "A stochastic approximation method".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from worker.spec.families.schedule import Schedule


class Constant(Schedule):
    """Keep the optimizer's learning rate."""

    equation: ClassVar[str] = "η_e = η"
    reference: ClassVar[str] = "Robbins and Monro 1951, A stochastic approximation method"

    kind: Literal["constant"] = "constant"

    def factor(self, epoch: int, epochs: int) -> float:
        """1 in every epoch."""
        return 1.0
