"""Leaky rectified linear unit: negative numbers become small.

    y = max(x, 0) + slope·min(x, 0)

Reference: Maas, Hannun and Ng, 2013, "Rectifier nonlinearities improve neural network acoustic models";
``torch.nn.LeakyReLU``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class LeakyReLULayer(ElementwiseLayer):
    """Make negative numbers small."""

    equation: ClassVar[str] = "y = max(x, 0) + slope·min(x, 0)"
    reference: ClassVar[str] = (
        "Maas, Hannun and Ng 2013, Rectifier nonlinearities improve neural network acoustic models"
    )
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({}, (3, 4, 5)),
        ({"slope": 0.3}, (6,)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["leaky_relu"] = "leaky_relu"
    slope: PerRun[float] = Field(default=0.01, ge=0, le=1, description="Factor of negative numbers.")

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return x, or slope·x where it is negative."""
        from torch.nn import functional as F  # noqa: N812 - its usual name

        return F.leaky_relu(x, self.slope)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return x, or slope·x where it is negative."""
        return graph.node("LeakyRelu", x, alpha=self.slope)

    def module(self, shape: Shape) -> str:
        """Return ``nn.LeakyReLU``."""
        return f"nn.LeakyReLU({self.slope})"
