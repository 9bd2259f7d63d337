"""Spatial dropout: whole channels are set to zero at random in training, and the others are scaled up.

    training     y_c = x_c · m_c / (1 − p),    m_c ~ Bernoulli(1 − p)
    evaluation   y = x

Reference: Tompson, Goroshin, Jain, LeCun and Bregler, 2015, "Efficient object localization using convolutional
networks"; ``torch.nn.Dropout2d``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, sizes
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class SpatialDropoutLayer(Layer):
    """Set each channel to zero with probability p."""

    equation: ClassVar[str] = "y_c = x_c · m_c / (1 − p),  m_c ~ Bernoulli(1 − p)"
    reference: ClassVar[str] = "Tompson et al. 2015, Efficient object localization using convolutional networks"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({"p": 0.3}, (5, 2, 3)), ({}, (4, 6)))

    kind: Literal["spatial_dropout"] = "spatial_dropout"
    p: PerRun[float] = Field(default=0.5, ge=0, le=0.99, description="Probability of being left out, in steps of 2⁻¹⁶.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        if len(shape) not in (2, 3):
            message = (
                f"'spatial_dropout' takes images or sequences of channels, and rows of shape {sizes(shape)} arrive; "
                "use 'dropout'."
            )
            raise DoesNotFit(message)
        return shape

    def flops(self, shape: Shape) -> int:
        """Return one for each number."""
        return math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return rows with channels left out, in training."""
        p = round(self.p * 65536) / 65536
        if not state.training or not p:
            return x
        drawn = state.draws.int16("", x.shape[1])
        mask = (drawn >= p * 65536 - 32768).to(x.dtype).mul_(1 / (1 - p))
        return x * mask.view(*mask.shape, *[1] * (x.dim() - 2))

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the rows as they are."""
        return x

    def module(self, shape: Shape) -> str:
        """Return ``nn.Dropout1d`` or ``nn.Dropout2d``."""
        return f"nn.Dropout{len(shape) - 1}d({round(self.p * 65536) / 65536})"
