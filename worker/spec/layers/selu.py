"""Scaled exponential linear unit: keeps mean zero and variance one through dense layers.

    y = λ·x if x > 0, else λ·α·(e^x − 1);  λ = 1.0507, α = 1.6733

Reference: Klambauer, Unterthiner, Mayr and Hochreiter, 2017, "Self-normalizing neural networks"; ``torch.nn.SELU``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class SELULayer(ElementwiseLayer):
    """Keep mean and variance."""

    equation: ClassVar[str] = "y = λ·x if x > 0, else λ·α·(e^x − 1);  λ = 1.0507, α = 1.6733"
    reference: ClassVar[str] = "Klambauer, Unterthiner, Mayr and Hochreiter 2017, Self-normalizing neural networks"
    fresh: ClassVar[bool] = True

    kind: Literal["selu"] = "selu"

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the scaled exponential linear unit."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        return F.selu(x)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the scaled exponential linear unit."""
        return graph.node("Selu", x)

    def module(self, shape: Shape) -> str:
        """Return ``nn.SELU``."""
        return "nn.SELU()"
