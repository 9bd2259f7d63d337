"""Multilayer perceptron: dense layers with a nonlinearity between them.

    h₀ = x;    hᵢ₊₁ = φ(Wᵢ·hᵢ + bᵢ);    logits = W_last·h + b_last

Weights and biases begin as ``init`` says; by default uniform in ±1/√fan_in, as in ``torch.nn.Linear``.

Reference: Rumelhart, Hinton and Williams, 1986, "Learning representations by back-propagating errors".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from worker.spec.dense import Activation, DenseNetwork, Init, dense_parameters, initialization_for, onnx_dense
from worker.spec.families.model import Initialization, Model, Network, ParameterViews
from worker.spec.part import Stacked

if TYPE_CHECKING:
    from worker.spec.graph import Graph, HiddenValue, Value

Width = Annotated[int, Field(ge=1, le=1_000_000_000)]


class MLP(Model):
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
    init: Init = Field(default="torch", description="How weights begin.")

    @property
    def hidden_layers(self) -> int:
        """As many as ``hidden`` is long."""
        return len(self.hidden)

    def parameters(self, shape: tuple[int, ...], outputs: int) -> dict[str, tuple[int, ...]]:
        """A weight matrix and a bias for each layer."""
        return dense_parameters(math.prod(shape), self.hidden, outputs)

    def initialization(self, name: str, shape: tuple[int, ...], fan_in: int) -> Initialization:
        """As ``init`` says."""
        return initialization_for(self.init, shape, fan_in)

    def onnx(self, graph: Graph, x: Value, shape: tuple[int, ...], hidden: HiddenValue) -> Value:
        """The same chain."""
        return onnx_dense(graph, x, len(self.hidden) + 1, hidden, self.activation)

    @staticmethod
    def network(part: Stacked[MLP], material: ParameterViews) -> Network:
        """A chain of dense layers."""
        return DenseNetwork(material, part.activation)
