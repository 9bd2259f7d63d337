"""Logistic sigmoid: numbers are squashed to (0, 1).

    y = 1 / (1 + e^(−x))

Reference: Rumelhart, Hinton and Williams, 1986, "Learning representations by back-propagating errors";
``torch.nn.Sigmoid``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class SigmoidLayer(ElementwiseLayer):
    """Squash numbers to (0, 1)."""

    equation: ClassVar[str] = "y = 1 / (1 + e^(−x))"
    reference: ClassVar[str] = (
        "Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors"
    )

    kind: Literal["sigmoid"] = "sigmoid"

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return σ(x)."""
        return x.sigmoid()

    def forward_in_place(self, x: Tensor, state: LayerState) -> Tensor:
        """Return σ(x)."""
        return x.sigmoid_()

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return σ(x)."""
        return graph.node("Sigmoid", x)

    def module(self, shape: Shape) -> str:
        """Return ``nn.Sigmoid``."""
        return "nn.Sigmoid()"
