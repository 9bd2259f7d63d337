"""Stochastic depth: rows are set to zero as a whole at random in training, and the others are scaled up.

    training     y = x · b / (1 − p),    b ~ Bernoulli(1 − p) for each row
    evaluation   y = x

As the last of the ``layers`` of a ``residual``, it leaves the block out for that row: only the shortcut remains. The
paper lets p grow linearly from the first block to the last.

Reference: Huang, Sun, Liu, Sedra and Weinberger, 2016, "Deep networks with stochastic depth"; torchvision's
``StochasticDepth``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class DropPathLayer(ElementwiseLayer):
    """Set each row to zero with probability p."""

    equation: ClassVar[str] = "y = x · b / (1 − p),  b ~ Bernoulli(1 − p)"
    reference: ClassVar[str] = "Huang, Sun, Liu, Sedra and Weinberger 2016, Deep networks with stochastic depth"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({}, (6,)), ({"p": 0.4}, (2, 3, 4)))

    kind: Literal["drop_path"] = "drop_path"
    p: PerRun[float] = Field(default=0.1, ge=0, le=0.99, description="Probability of being left out.")

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the rows, some of them left out, in training."""
        if not state.training or not self.p:
            return x
        remains = (state.draws.uniform() >= self.p).to(x.dtype).mul_(1 / (1 - self.p))
        return x * remains.view(-1, *[1] * (x.dim() - 1))

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the rows as they are."""
        return x

    def module(self, shape: Shape) -> str:
        """Return ``DropPath``."""
        return f"DropPath({self.p})"
