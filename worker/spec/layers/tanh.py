"""Hyperbolic tangent: numbers are squashed to (−1, 1).

    y = tanh x

Reference: LeCun, Bottou, Orr and Müller, 1998, "Efficient BackProp"; ``torch.nn.Tanh``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class TanhLayer(ElementwiseLayer):
    """Squash numbers to (−1, 1)."""

    equation: ClassVar[str] = "y = tanh x"
    reference: ClassVar[str] = "LeCun, Bottou, Orr and Müller 1998, Efficient BackProp"

    kind: Literal["tanh"] = "tanh"

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return tanh x."""
        return x.tanh()

    def forward_in_place(self, x: Tensor, state: LayerState) -> Tensor:
        """Return tanh x."""
        return x.tanh_()

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return tanh x."""
        return graph.node("Tanh", x)

    def module(self, shape: Shape) -> str:
        """Return ``nn.Tanh``."""
        return "nn.Tanh()"
