"""Gaussian noise: random numbers are added in training.

    training     y = x + σ·ε,    ε ~ N(0, 1)
    evaluation   y = x

Reference: Bishop, 1995, "Training with noise is equivalent to Tikhonov regularization"; Keras' ``GaussianNoise``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import ElementwiseLayer, LayerState, Names, Shape
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class GaussianNoiseLayer(ElementwiseLayer):
    """Add normal noise to each number."""

    equation: ClassVar[str] = "y = x + σ·ε,  ε ~ N(0, 1)"
    reference: ClassVar[str] = "Bishop 1995, Training with noise is equivalent to Tikhonov regularization"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({}, (6,)), ({"sigma": 0.5}, (2, 3, 4)))

    kind: Literal["gaussian_noise"] = "gaussian_noise"
    sigma: PerRun[float] = Field(default=0.1, ge=0, le=1e3, description="σ, the standard deviation of the noise.")

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return rows with noise, in training."""
        if not state.training or not self.sigma:
            return x
        return x + state.draws.normal("", x[0].numel()).view(x.shape).mul_(self.sigma)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the rows as they are."""
        return x

    def module(self, shape: Shape) -> str:
        """Return ``GaussianNoise``."""
        return f"GaussianNoise({self.sigma})"
