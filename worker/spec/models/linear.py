"""Linear classifier (multinomial logistic regression).

    logits = W·x + b

Reference: Cox, 1958, "The regression analysis of binary sequences".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from worker.spec.families.layer import Layer, Shape
from worker.spec.initialization import Init, init_field
from worker.spec.networks.model import LayeredModel


class Linear(LayeredModel):
    """One dense layer from the inputs to the logits."""

    equation: ClassVar[str] = "logits = W·x + b"
    reference: ClassVar[str] = "Cox 1958, The regression analysis of binary sequences"

    kind: Literal["linear"] = "linear"
    init: Init = init_field()

    def named_layers(self) -> Sequence[tuple[str, Layer]]:
        """Return none: there is only the output layer."""
        return ()

    @property
    def output_name(self) -> str:
        """Prefix of the only layer's parameters."""
        return "layers.0"

    def row_shape(self, shape: Shape) -> Shape:
        """Return vectors, whatever the dataset has."""
        return (math.prod(shape),)
