"""Rectified linear unit: negative numbers become zero.

    y = max(x, 0)

Reference: Nair and Hinton, 2010, "Rectified linear units improve restricted Boltzmann machines"; ``torch.nn.ReLU``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class ReLULayer(ElementwiseLayer):
    """Set negative numbers to zero."""

    equation: ClassVar[str] = "y = max(x, 0)"
    reference: ClassVar[str] = "Nair and Hinton 2010, Rectified linear units improve restricted Boltzmann machines"

    kind: Literal["relu"] = "relu"

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return max(x, 0)."""
        return x.relu()

    def forward_in_place(self, x: Tensor, state: LayerState) -> Tensor:
        """Return max(x, 0)."""
        return x.relu_()

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return max(x, 0)."""
        return graph.node("Relu", x)

    def module(self, shape: Shape) -> str:
        """Return ``nn.ReLU``."""
        return "nn.ReLU()"
