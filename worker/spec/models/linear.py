"""Linear classifier (multinomial logistic regression).

    logits = W·x + b

Reference: Cox, 1958, "The regression analysis of binary sequences".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.dense import DenseNetwork, Init, dense_parameters, initialization_for, onnx_dense
from worker.spec.families.model import Initialization, Model, Network, ParameterViews
from worker.spec.part import Stacked

if TYPE_CHECKING:
    from worker.spec.graph import Graph, HiddenValue, Value


class Linear(Model):
    """One dense layer from the inputs to the logits."""

    equation: ClassVar[str] = "logits = W·x + b"
    reference: ClassVar[str] = "Cox 1958, The regression analysis of binary sequences"

    kind: Literal["linear"] = "linear"
    init: Init = Field(default="torch", description="How weights begin.")

    def parameters(self, shape: tuple[int, ...], outputs: int) -> dict[str, tuple[int, ...]]:
        """One weight matrix and one bias."""
        return dense_parameters(math.prod(shape), (), outputs)

    def initialization(self, name: str, shape: tuple[int, ...], fan_in: int) -> Initialization:
        """As ``init`` says."""
        return initialization_for(self.init, shape, fan_in)

    def onnx(self, graph: Graph, x: Value, shape: tuple[int, ...], hidden: HiddenValue) -> Value:
        """The same chain."""
        return onnx_dense(graph, x, 1, hidden)

    @staticmethod
    def network(part: Stacked[Linear], material: ParameterViews) -> Network:
        """A chain of one layer."""
        return DenseNetwork(material)
