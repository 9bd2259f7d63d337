"""Self-attention: each place of a sequence gathers from the others what resembles its query.

    head_h = softmax(Q_h·K_hᵀ / √d)·V_h,    Q_h, K_h, V_h = projections of x to d = E / heads numbers
    y = W·[head_1, …, head_H] + b

Causal attention sees a place and those before it only. In training, attention weights are dropped with probability
``dropout``. Projections begin as Xavier's uniform and biases at zero, unless the model's ``init`` says otherwise.

Reference: Vaswani et al., 2017, "Attention is all you need"; ``torch.nn.MultiheadAttention``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, Shape, check_sequence, divisors, sizes
from worker.spec.families.model import Initialization
from worker.spec.initialization import Init, initialization_for
from worker.spec.layers.dropout import DropoutLayer
from worker.spec.part import PerRun

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class SelfAttentionLayer(Layer):
    """Exchange between the places of a sequence."""

    equation: ClassVar[str] = "head = softmax(Q·Kᵀ / √d)·V;  y = W·[heads] + b"
    reference: ClassVar[str] = "Vaswani et al. 2017, Attention is all you need"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"heads": 2}, (5, 4)),
        ({"heads": 3, "causal": True}, (4, 6)),
        ({"heads": 1, "dropout": 0.25}, (4, 2)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["self_attention"] = "self_attention"
    heads: int = Field(default=4, ge=1, le=4096, description="Number of heads; divides the width of the vectors.")
    causal: bool = Field(default=False, description="Whether a place sees only itself and the places before it.")
    dropout: PerRun[float] = Field(default=0.0, ge=0, le=0.99, description="Probability of dropping a weight.")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        check_sequence(self.kind, shape)
        if shape[1] % self.heads:
            message = (
                f"Rows of {sizes(shape)} arrive, and {self.heads} heads do not divide vectors of {shape[1]} numbers."
            )
            raise DoesNotFit(message, "heads", allowed=divisors(shape[1]))
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return the projections to queries, keys and values in one matrix, and that of the heads."""
        width = shape[1]
        projections = {"in_proj_weight": (3 * width, width), "in_proj_bias": (3 * width,)}
        return {**projections, "out_proj.weight": (width, width), "out_proj.bias": (width,)}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return as ``torch.nn.MultiheadAttention`` begins, or as ``init`` says."""
        if init != "torch" or name == "out_proj.weight":
            return initialization_for(init, shape, fan_in)
        return initialization_for("xavier_uniform", shape, fan_in)

    def flops(self, shape: Shape) -> int:
        """Return two for each weight and place, and for each pair of places and number."""
        length, width = shape
        return super().flops(shape) * length + 4 * length * length * width

    def activations(self, shape: Shape) -> int:
        """Return projections, scores and weights of all pairs of places, and the heads' and the final result."""
        length, width = shape
        return 6 * length * width + 2 * self.heads * length * length

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return what the places gather.

        Written with products, since the fused kernel is slower on one thread, and drops weights by a generator.
        """
        import torch
        from torch.nn import functional as F  # noqa: N812 - its usual name

        length, width = x.shape[1:]
        projected = F.linear(x, state["in_proj_weight"], state["in_proj_bias"])
        by_head = projected.view(-1, length, 3, self.heads, width // self.heads)
        q, k, v = by_head.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(2, 3)
        if self.causal:
            later = torch.ones((length, length), dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        weights = DropoutLayer(p=self.dropout).forward(scores.softmax(-1), state)
        gathered = (weights @ v).transpose(1, 2).flatten(2)
        return F.linear(gathered, state["out_proj.weight"], state["out_proj.bias"])

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return what the places gather."""
        import numpy as np

        length, width = shape
        each = width // self.heads
        weights, biases = np.split(names.array("in_proj_weight"), 3), np.split(names.array("in_proj_bias"), 3)
        by_head = graph.sizes([-1, length, self.heads, each])
        turned = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        q, k, v = (
            graph.node("Transpose", graph.node("Reshape", _linear(graph, x, w, b), by_head), perm=perm)
            for w, b, perm in zip(weights, biases, turned, strict=True)
        )
        scores = graph.node("MatMul", graph.node("Mul", q, graph.number(each**-0.5)), k)
        if self.causal:
            scores = graph.node("Add", scores, graph.number(np.triu(np.full((length, length), -np.inf), 1)))
        gathered = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), v)
        joined = graph.node(
            "Reshape", graph.node("Transpose", gathered, perm=[0, 2, 1, 3]), graph.sizes([-1, length, width])
        )
        return _linear(graph, joined, names.array("out_proj.weight"), names.array("out_proj.bias"))

    def module(self, shape: Shape) -> str:
        """Return ``SelfAttention``, an ``nn.MultiheadAttention``."""
        return f"SelfAttention({shape[1]}, {self.heads}, causal={self.causal}, dropout={self.dropout})"


def _linear(graph: Graph, x: Value, weight: np.ndarray[Any, Any], bias: np.ndarray[Any, Any]) -> Value:
    """Return x·Wᵀ + b for vectors ``x`` (rows, L, E)."""
    return graph.node("Add", graph.node("MatMul", x, graph.number(weight.T)), graph.number(bias))
