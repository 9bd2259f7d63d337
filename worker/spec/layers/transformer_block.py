"""Transformer block: self-attention and a network on each place, each with a residual connection and a norm.

    norm before   h = x + attention(norm(x));    y = h + network(norm(h))
    norm after    h = norm(x + attention(x));    y = norm(h + network(h))

The network is two dense layers with a nonlinearity. In training, its hidden units, both branches and the weights of
attention are dropped with probability ``dropout``.

Reference: Vaswani et al., 2017, "Attention is all you need" (norm after); Xiong et al., 2020, "On layer normalization
in the transformer architecture" (norm before); ``torch.nn.TransformerEncoderLayer``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import Layer, LayerState, Names, Shape
from worker.spec.families.model import Initialization
from worker.spec.initialization import Init
from worker.spec.layers.dense import DenseLayer
from worker.spec.layers.dropout import DropoutLayer
from worker.spec.layers.self_attention import SelfAttentionLayer
from worker.spec.part import PerRun

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value

EPS = 1e-5


class TransformerBlockLayer(Layer):
    """Self-attention, then a network on each place."""

    equation: ClassVar[str] = "h = x + attention(norm(x));  y = h + network(norm(h))"
    reference: ClassVar[str] = "Vaswani et al. 2017, Attention is all you need"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"heads": 2, "feed_forward": 6}, (5, 4)),
        ({"heads": 1, "causal": True, "norm": "after", "activation": "relu"}, (3, 4)),
        ({"heads": 1, "feed_forward": 3, "dropout": 0.25}, (3, 2)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["transformer_block"] = "transformer_block"
    heads: int = Field(default=4, ge=1, le=4096, description="Number of heads; divides the width of the vectors.")
    feed_forward: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Hidden units on each place; null is four times the width."
    )
    activation: Literal["relu", "gelu"] = Field(default="gelu", description="Nonlinearity of the hidden units.")
    norm: Literal["before", "after"] = Field(
        default="before", description="Whether attention and network get normalized vectors, or sums are normalized."
    )
    causal: bool = Field(default=False, description="Whether a place sees only itself and the places before it.")
    dropout: PerRun[float] = Field(default=0.0, ge=0, le=0.99, description="Probability of being left out.")

    @property
    def _attention(self) -> SelfAttentionLayer:
        return SelfAttentionLayer(heads=self.heads, causal=self.causal, dropout=self.dropout)

    def _linear(self, shape: Shape) -> tuple[DenseLayer, DenseLayer]:
        """Return the two layers of the network."""
        return DenseLayer(width=self._hidden(shape)[1]), DenseLayer(width=shape[1])

    def _hidden(self, shape: Shape) -> Shape:
        return (shape[0], self.feed_forward or 4 * shape[1])

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        return self._attention.output_shape(shape)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return those of attention, of the network and of both norms."""
        first, second = self._linear(shape)
        norm: dict[str, Shape] = {"weight": (shape[1],), "bias": (shape[1],)}
        inner = {
            "self_attn": self._attention.parameters(shape),
            "linear1": first.parameters(shape),
            "linear2": second.parameters(self._hidden(shape)),
            "norm1": norm,
            "norm2": norm,
        }
        return {f"{part}.{name}": size for part, own in inner.items() for name, size in own.items()}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return that of attention, the identity for norms, and that of dense layers."""
        if name.startswith("self_attn."):
            return self._attention.initialization(name.removeprefix("self_attn."), shape, fan_in, init)
        if name.startswith("norm"):
            return Initialization("constant", 1.0 if name.endswith("weight") else 0.0)
        return super().initialization(name, shape, fan_in, init)

    def flops(self, shape: Shape) -> int:
        """Return those of attention and network, and about ten for each number of norms and sums."""
        first, second = self._linear(shape)
        network = first.flops(shape) + second.flops(self._hidden(shape))
        return self._attention.flops(shape) + network + 20 * math.prod(shape)

    def activations(self, shape: Shape) -> int:
        """Return those of attention, hidden units before and after the nonlinearity, norms, branches and sums."""
        hidden = self._hidden(shape)
        return self._attention.activations(shape) + 2 * math.prod(hidden) + 5 * math.prod(shape)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the places after both."""
        if self.norm == "before":
            x = x + self._attended(_normalized(x, state.within("norm1")), state)
            return x + self._network(_normalized(x, state.within("norm2")), state)
        x = _normalized(x + self._attended(x, state), state.within("norm1"))
        return _normalized(x + self._network(x, state), state.within("norm2"))

    def _attended(self, x: Tensor, state: LayerState) -> Tensor:
        """Return what places gather, with numbers left out."""
        return self._dropped(self._attention.forward(x, state.within("self_attn")), state, "dropout1")

    def _network(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the network's result, with numbers left out."""
        first, second = self._linear(tuple(x.shape[1:]))
        hidden = _activated(first.forward(x, state.within("linear1")), self.activation)
        hidden = self._dropped(hidden, state, "dropout")
        return self._dropped(second.forward(hidden, state.within("linear2")), state, "dropout2")

    def _dropped(self, x: Tensor, state: LayerState, name: str) -> Tensor:
        return DropoutLayer(p=self.dropout).forward(x, state.within(name))

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the places after both."""

        def norm(value: Value, name: str) -> Value:
            own = names.within(name)
            return graph.node("LayerNormalization", value, own["weight"], own["bias"], axis=-1, epsilon=EPS)

        def attended(value: Value) -> Value:
            return self._attention.onnx(graph, value, shape, names.within("self_attn"))

        def network(value: Value) -> Value:
            first, second = self._linear(shape)
            hidden = first.onnx(graph, value, shape, names.within("linear1"))
            hidden = graph.node("Relu", hidden) if self.activation == "relu" else _gelu(graph, hidden)
            return second.onnx(graph, hidden, self._hidden(shape), names.within("linear2"))

        if self.norm == "before":
            x = graph.node("Add", x, attended(norm(x, "norm1")))
            return graph.node("Add", x, network(norm(x, "norm2")))
        x = norm(graph.node("Add", x, attended(x)), "norm1")
        return norm(graph.node("Add", x, network(x)), "norm2")

    def module(self, shape: Shape) -> str:
        """Return ``TransformerBlock``, an ``nn.TransformerEncoderLayer``."""
        return (
            f"TransformerBlock({shape[1]}, {self.heads}, {self._hidden(shape)[1]}, dropout={self.dropout}, "
            f'activation="{self.activation}", norm_first={self.norm == "before"}, causal={self.causal})'
        )


def _normalized(x: Tensor, state: LayerState) -> Tensor:
    """Return vectors of mean 0 and variance 1, scaled and shifted."""
    from torch.nn import functional as F  # noqa: N812 - its usual name

    return F.layer_norm(x, x.shape[-1:], state["weight"], state["bias"], EPS)


def _activated(x: Tensor, activation: str) -> Tensor:
    from torch.nn import functional as F  # noqa: N812 - its usual name

    return F.relu(x) if activation == "relu" else F.gelu(x)


def _gelu(graph: Graph, x: Value) -> Value:
    """Return x·Φ(x); the operator came in a later opset."""
    doubled = graph.node("Add", graph.node("Erf", graph.node("Mul", x, graph.number(2**-0.5))), graph.number(1.0))
    return graph.node("Mul", graph.node("Mul", x, graph.number(0.5)), doubled)
