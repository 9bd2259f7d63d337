"""Polynomial decay, by steps: after a warm-up, the learning rate falls along a power of the share of steps left.

    η_i = η · (i + 1)/(w + 1)                          i = 0 … w − 1
    η_i = η · (φ + (1 − φ)·(1 − (i − w)/(T − w))^p)     i = w … T − 1

Reference: Chen, Papandreou, Kokkinos, Murphy and Yuille, 2018, "DeepLab: semantic image segmentation with deep
convolutional nets, atrous convolution, and fully connected CRFs" (the poly policy, with p = 0.9).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.schedule import SpanningSchedule


class Polynomial(SpanningSchedule):
    """Rise linearly for ``warmup`` epochs, then fall along a power with every step."""

    equation: ClassVar[str] = "η_i = η · (φ + (1 − φ)·(1 − (i − w)/(T − w))^p)  after w steps of warm-up"
    reference: ClassVar[str] = "Chen et al. 2018, DeepLab: semantic image segmentation with deep convolutional nets"

    kind: Literal["polynomial"] = "polynomial"
    power: float = Field(default=2.0, gt=0, le=100, description="p; 1 is 'linear'.")

    def curve(self, done: float) -> float:
        """The power of the share that is left."""
        return float((1 - done) ** self.power)
