"""A chain of dense layers for a stack of K runs, forward and backward written out.

    forward    h₀ = x;  zᵢ = hᵢ·Wᵢᵀ + bᵢ;  hᵢ₊₁ = φ(zᵢ);  logits = z_last
    backward   ∂W = gᵀ·h,  ∂b = Σ g,  g ← (g·W) ⊙ φ′(h)

One batched GEMM does a layer for all runs, so the number of calls in a step does not grow with K. Written out, it
takes about two thirds of autograd's time on a CPU.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Activation = Literal["relu", "tanh"]


def dense_parameters(inputs: int, hidden: tuple[int, ...], outputs: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the chain's parameters, in order."""
    widths = (inputs, *hidden, outputs)
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        shapes[f"layers.{i}.weight"] = (fan_out, fan_in)
        shapes[f"layers.{i}.bias"] = (fan_out,)
    return shapes


class DenseNetwork:
    """The chain on ``parameters`` (each (K, *shape)); ``backward`` writes into ``gradients``.

    Buffers are kept per batch size, so a result is valid until the next call with as many rows.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor], activation: Activation = "relu"
    ) -> None:
        self.depth = len(parameters) // 2
        self.w = [parameters[f"layers.{i}.weight"] for i in range(self.depth)]
        self.b = [parameters[f"layers.{i}.bias"].unsqueeze(1) for i in range(self.depth)]
        self.gw = [gradients[f"layers.{i}.weight"] for i in range(self.depth)]
        self.gb = [gradients[f"layers.{i}.bias"] for i in range(self.depth)]
        self.activation = activation
        self._buffers: dict[int, list[Tensor]] = {}
        self._inputs: list[Tensor] = []
        self._factors: list[Tensor | None] = []

    def _outputs(self, rows: int) -> list[Tensor]:
        """A buffer (K, rows, out) for each layer's result."""
        if rows not in self._buffers:
            self._buffers[rows] = [w.new_empty((w.shape[0], rows, w.shape[1])) for w in self.w]
        return self._buffers[rows]

    def forward(self, x: Tensor, act: Callable[[Tensor, int], Tensor | None] | None = None) -> Tensor:
        """Logits (K, N, classes); ``act`` may change each hidden layer's activations in place."""
        import torch

        self._inputs, self._factors = [x], []
        outputs = self._outputs(x.shape[1])
        for i, z in enumerate(outputs):
            torch.baddbmm(self.b[i], self._inputs[-1], self.w[i].transpose(1, 2), out=z)
            if i < self.depth - 1:
                h = z.relu_() if self.activation == "relu" else z.tanh_()
                if act is not None and self.activation == "tanh":
                    h = h.clone()  # its derivative needs the value before units are dropped
                self._factors.append(act(h, i) if act is not None else None)
                self._inputs.append(h)
        return outputs[-1]

    def backward(self, g: Tensor) -> None:
        """Gradients of the last ``forward``, given ``g`` (K, N, classes) at its logits."""
        import torch

        for i in reversed(range(self.depth)):
            torch.bmm(g.transpose(1, 2), self._inputs[i], out=self.gw[i])
            torch.sum(g, 1, out=self.gb[i])
            if i > 0:
                g = self._through_activation(torch.bmm(g, self.w[i]), i - 1)

    def _through_activation(self, g: Tensor, layer: int) -> Tensor:
        """The gradient before the nonlinearity of hidden ``layer``, given that behind it; in place."""
        import torch

        factor = self._factors[layer]
        if factor is not None:
            g.mul_(factor)
        if self.activation == "relu":
            # A dropped unit is zero like an inactive one, so what came out tells both.
            torch.ops.aten.threshold_backward.grad_input(g, self._inputs[layer + 1], 0, grad_input=g)
            return g
        h = self._outputs(g.shape[1])[layer]
        return g.mul_(1 - h * h)
