"""Exponential linear unit: negative numbers saturate.

    y = x if x > 0, else α·(e^x − 1)

Reference: Clevert, Unterthiner and Hochreiter, 2016, "Fast and accurate deep network learning by exponential linear
units (ELUs)"; ``torch.nn.ELU``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class ELULayer(ElementwiseLayer):
    """Let negative numbers saturate at −α."""

    equation: ClassVar[str] = "y = x if x > 0, else α·(e^x − 1)"
    reference: ClassVar[str] = (
        "Clevert, Unterthiner and Hochreiter 2016, Fast and accurate deep network learning by ELUs"
    )
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (3, 4, 5)),
        ({"alpha": 0.3}, (6,)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["elu"] = "elu"
    alpha: PerRun[float] = Field(default=1.0, ge=0, le=100, description="α: −α is the limit for negative numbers.")

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return x, or α·(e^x − 1) where it is negative."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        return F.elu(x, self.alpha)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return x, or α·(e^x − 1) where it is negative."""
        return graph.node("Elu", x, alpha=self.alpha)

    def module(self, shape: Shape) -> str:
        """Return ``nn.ELU``."""
        return f"nn.ELU({self.alpha})"
