"""Dropout as a layer: numbers are set to zero at random in training, and the others are scaled up.

    training     y = x ⊙ m / (1 − p),    m ~ Bernoulli(1 − p)
    evaluation   y = x

Reference: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014, "Dropout: a simple way to prevent neural
networks from overfitting"; ``torch.nn.Dropout``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, RowDraws, Shape
from worker.spec.part import PerRun

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class DropoutLayer(ElementwiseLayer):
    """Set each number to zero with probability p."""

    equation: ClassVar[str] = "y = x ⊙ m / (1 − p),  m ~ Bernoulli(1 − p)"
    reference: ClassVar[str] = (
        "Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting"
    )

    kind: Literal["dropout"] = "dropout"
    p: PerRun[float] = Field(default=0.5, ge=0, le=0.99, description="Probability of being left out, in steps of 2⁻¹⁶.")

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return rows with numbers left out, in training."""
        if not state.training or not self.p:
            return x
        return x * self.factor(state.draws, x[0].numel(), x.dtype).view(x.shape)

    def factor(self, draws: RowDraws, width: int, dtype: torch.dtype) -> Tensor:
        """Return the factors of ``width`` numbers of each row, (N, width): 0, or 1 / (1 − p)."""
        p = round(self.p * 65536) / 65536
        drawn = draws.int16("", width)
        return (drawn >= p * 65536 - 32768).to(dtype).mul_(1 / (1 - p))

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the rows as they are."""
        return x

    def module(self, shape: Shape) -> str:
        """Return ``nn.Dropout``."""
        return f"nn.Dropout({round(self.p * 65536) / 65536})"
