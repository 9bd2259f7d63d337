"""Alpha dropout: numbers are set to the limit of SELU at random in training, and mean and variance are restored.

    training     y = a·(x ⊙ m + α'·(1 − m)) + b,    m ~ Bernoulli(1 − p),  α' = −1.7581
                 a = ((1 − p)·(1 + p·α'²))^(−½),  b = −a·α'·p
    evaluation   y = x

Reference: Klambauer, Unterthiner, Mayr and Hochreiter, 2017, "Self-normalizing neural networks";
``torch.nn.AlphaDropout``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value

LIMIT = -1.7580993408473766
"""−λ·α of SELU, its value for large negative numbers."""


class AlphaDropoutLayer(ElementwiseLayer):
    """Set each number to the limit of SELU with probability p, and restore mean and variance."""

    equation: ClassVar[str] = "y = a·(x ⊙ m + α'·(1 − m)) + b,  m ~ Bernoulli(1 − p)"
    reference: ClassVar[str] = "Klambauer, Unterthiner, Mayr and Hochreiter 2017, Self-normalizing neural networks"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({}, (6,)), ({"p": 0.2}, (2, 3, 4)))

    kind: Literal["alpha_dropout"] = "alpha_dropout"
    p: PerRun[float] = Field(default=0.5, ge=0, le=0.99, description="Probability of being left out, in steps of 2⁻¹⁶.")

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return rows with numbers left out, in training."""
        p = round(self.p * 65536) / 65536
        if not state.training or not p:
            return x
        drawn = state.draws.int16("", x[0].numel()).view(x.shape)
        mask = (drawn >= p * 65536 - 32768).to(x.dtype)
        scale: float = ((1 - p) * (1 + p * LIMIT**2)) ** -0.5
        return x * (mask * scale) + (1 - mask - p).mul_(scale * LIMIT)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the rows as they are."""
        return x

    def module(self, shape: Shape) -> str:
        """Return ``nn.AlphaDropout``."""
        return f"nn.AlphaDropout({round(self.p * 65536) / 65536})"
