"""Sigmoid linear unit, also called swish: numbers are weighted by their sigmoid.

    y = x·σ(x)

Reference: Elfwing, Uchibe and Doya, 2018, "Sigmoid-weighted linear units for neural network function approximation in
reinforcement learning"; ``torch.nn.SiLU``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class SiLULayer(ElementwiseLayer):
    """Weight numbers by their sigmoid."""

    equation: ClassVar[str] = "y = x·σ(x)"
    reference: ClassVar[str] = (
        "Elfwing, Uchibe and Doya 2018, Sigmoid-weighted linear units for neural network function approximation"
    )
    fresh: ClassVar[bool] = True

    kind: Literal["silu"] = "silu"

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return x·σ(x)."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        return F.silu(x)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return x·σ(x)."""
        return graph.node("Mul", x, graph.node("Sigmoid", x))

    def module(self, shape: Shape) -> str:
        """Return ``nn.SiLU``."""
        return "nn.SiLU()"
