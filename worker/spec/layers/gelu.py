"""Gaussian error linear unit: numbers are weighted by the normal distribution at them.

    y = x·Φ(x)

Reference: Hendrycks and Gimpel, 2016, "Gaussian error linear units (GELUs)"; ``torch.nn.GELU``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class GELULayer(ElementwiseLayer):
    """Weight numbers by the normal distribution at them."""

    equation: ClassVar[str] = "y = x·Φ(x)"
    reference: ClassVar[str] = "Hendrycks and Gimpel 2016, Gaussian error linear units (GELUs)"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (3, 4, 5)),
        ({"approximate": "tanh"}, (6,)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["gelu"] = "gelu"
    approximate: Literal["none", "tanh"] = Field(
        default="none", description="tanh: Φ(x) ≈ (1 + tanh(√(2/π)·(x + 0.044715·x³)))/2, as in GPT-2."
    )

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return x·Φ(x)."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        return F.gelu(x, approximate=self.approximate)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return x·Φ(x)."""
        if self.approximate == "tanh":
            cubic = graph.node("Mul", graph.node("Mul", graph.node("Mul", x, x), x), graph.number(0.044715))
            scaled = graph.node("Mul", graph.node("Add", x, cubic), graph.number(math.sqrt(2 / math.pi)))
            share = graph.node("Tanh", scaled)
        else:
            share = graph.node("Erf", graph.node("Mul", x, graph.number(math.sqrt(0.5))))
        half = graph.node("Mul", x, graph.number(0.5))
        return graph.node("Mul", half, graph.node("Add", share, graph.number(1.0)))

    def module(self, shape: Shape) -> str:
        """Return ``nn.GELU``."""
        return f"nn.GELU(approximate={self.approximate!r})"
