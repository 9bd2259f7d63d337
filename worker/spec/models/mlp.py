"""Multilayer perceptron: dense layers with a nonlinearity between them.

    h₀ = x;    hᵢ₊₁ = φ(Wᵢ·hᵢ + bᵢ);    logits = W_last·h + b_last

Weights and biases begin as ``init`` says; by default uniform in ±1/√fan_in, as in ``torch.nn.Linear``.

Reference: Rumelhart, Hinton and Williams, 1986, "Learning representations by back-propagating errors".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from worker.spec.dense import Activation
from worker.spec.families.layer import Layer, Shape
from worker.spec.initialization import Init, init_field
from worker.spec.networks.model import LayeredModel, dense_chain

Width = Annotated[int, Field(ge=1, le=1_000_000_000)]


class MLP(LayeredModel):
    """Dense layers of the given widths, and one to the logits."""

    equation: ClassVar[str] = "hᵢ₊₁ = φ(Wᵢ·hᵢ + bᵢ);  logits = W·h + b"
    reference: ClassVar[str] = (
        "Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors"
    )

    kind: Literal["mlp"] = "mlp"
    hidden: tuple[Width, ...] = Field(
        default=(128, 128), min_length=1, max_length=32, description="Width of each hidden layer, from the input on."
    )
    activation: Activation = Field(default="relu", description="φ, of the hidden layers.")
    init: Init = init_field()

    def named_layers(self) -> Sequence[tuple[str, Layer]]:
        """Return a dense layer and a nonlinearity for each width."""
        return dense_chain(self.hidden, self.activation)

    @property
    def output_name(self) -> str:
        """Prefix of the output layer's parameters: the dense layers are counted."""
        return f"layers.{len(self.hidden)}"

    def row_shape(self, shape: Shape) -> Shape:
        """Return vectors, whatever the dataset has."""
        return (math.prod(shape),)
