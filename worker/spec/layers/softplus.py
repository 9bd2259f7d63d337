"""Softplus: a smooth rectifier.

    y = ln(1 + e^(β·x)) / β

Reference: Dugas, Bengio, Bélisle, Nadeau and Garcia, 2001, "Incorporating second-order functional knowledge for better
option pricing"; ``torch.nn.Softplus``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class SoftplusLayer(ElementwiseLayer):
    """Rectify smoothly."""

    equation: ClassVar[str] = "y = ln(1 + e^(β·x)) / β"
    reference: ClassVar[str] = (
        "Dugas, Bengio, Bélisle, Nadeau and Garcia 2001, Incorporating second-order functional knowledge"
    )
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (3, 4, 5)),
        ({"beta": 3.0}, (6,)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["softplus"] = "softplus"
    beta: PerRun[float] = Field(default=1.0, gt=0, le=1e4, description="β: larger is closer to ReLU.")

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return ln(1 + e^(β·x)) / β."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        return F.softplus(x, self.beta)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return ln(1 + e^(β·x)) / β."""
        beta = graph.number(self.beta)
        return graph.node("Div", graph.node("Softplus", graph.node("Mul", x, beta)), beta)

    def module(self, shape: Shape) -> str:
        """Return ``nn.Softplus``."""
        return f"nn.Softplus({self.beta})"
