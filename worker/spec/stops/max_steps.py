"""End after a number of optimizer steps, inside an epoch if need be.

    stop after step t  if  t = steps

The epoch in which the run ends is recorded with the steps it had.

Reference: Bishop, 1995, "Neural networks for pattern recognition", section 7.5 (criteria for ending training).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.stop import Stop


class MaxSteps(Stop):
    """End the run after ``steps`` optimizer steps."""

    equation: ClassVar[str] = "stop after step t if t = steps"
    reference: ClassVar[str] = "Bishop 1995, Neural networks for pattern recognition, section 7.5"

    kind: Literal["max_steps"] = "max_steps"
    steps: int = Field(ge=1, examples=[1000], description="Optimizer steps in all.")

    def step_limit(self) -> int:
        """``steps``."""
        return self.steps
