"""Linear decay, by steps: after a warm-up, the learning rate falls by the same amount with every step.

    η_i = η · (i + 1)/(w + 1)                        i = 0 … w − 1
    η_i = η · (φ + (1 − φ)·(1 − (i − w)/(T − w)))     i = w … T − 1

Reference: Devlin, Chang, Lee and Toutanova, 2019, "BERT: pre-training of deep bidirectional transformers for language
understanding"; Defazio, Cutkosky, Mehta and Mishchenko, 2023, "Optimal linear decay learning rate schedules and further
refinements".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from worker.spec.families.schedule import SpanningSchedule


class LinearDecay(SpanningSchedule):
    """Rise linearly for ``warmup`` epochs, then fall linearly with every step."""

    equation: ClassVar[str] = "η_i = η · (φ + (1 − φ)·(1 − (i − w)/(T − w)))  after w steps of warm-up"
    reference: ClassVar[str] = "Defazio et al. 2023, Optimal linear decay learning rate schedules"

    kind: Literal["linear"] = "linear"

    def curve(self, done: float) -> float:
        """A straight line."""
        return 1 - done
