"""A chain of dense layers for a stack of K runs, forward and backward written out.

    forward    h₀ = x;  zᵢ = hᵢ·Wᵢᵀ + bᵢ;  hᵢ₊₁ = φ(zᵢ);  logits = z_last
    backward   ∂W = gᵀ·h,  ∂b = Σ g,  g ← (g·W) ⊙ φ′(h)

One batched GEMM does a layer for all runs, so the number of calls in a step does not grow with K. Written out, it
takes about two thirds of autograd's time on a CPU. A layer with a single output is a sum of elementwise products in a
fixed order, because libraries choose the algorithm for such small matrices, and so the bits, by size times K.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from worker.spec.families.model import Hidden, HookResult, Network, ParameterViews
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor

Activation = Literal["relu", "tanh", "sigmoid"]


def activated(z: Tensor, activation: Activation) -> Tensor:
    """φ(z), in place."""
    if activation == "relu":
        return z.relu_()
    if activation == "tanh":
        return z.tanh_()
    # σ(z) = (1 + tanh(z/2)) / 2: torch's own sigmoid rounds the last few elements of a tensor differently, so a run's
    # bits would depend on its position in the stack.
    return z.mul_(0.5).tanh_().add_(1).mul_(0.5)


class DenseNetwork(Network):
    """The chain on the parameters ``layer.weight`` and ``layer.bias``; ``backward`` writes into the gradients.

    Buffers are allocated per batch size, so a result is valid until the next call with as many rows.
    """

    def __init__(self, material: ParameterViews, activation: Activation, layers: Sequence[str]) -> None:
        """``layers`` are the prefixes of the parameters, in order."""
        self.depth = len(layers)
        self.w = [material.parameters[f"{layer}.weight"] for layer in layers]
        self.b = [material.parameters[f"{layer}.bias"].unsqueeze(1) for layer in layers]
        self.gw = [material.gradients[f"{layer}.weight"] for layer in layers]
        self.gb = [material.gradients[f"{layer}.bias"] for layer in layers]
        self.activation = activation
        self.rounded = material.precision == "bfloat16"
        self._buffers: dict[int, list[Tensor]] = {}
        self._inputs: list[Tensor] = []
        self._before: list[Tensor] = []
        self._acted: list[HookResult] = []

    def _outputs(self, rows: int) -> list[Tensor]:
        """Return a buffer (K, rows, out) for each layer's result."""
        if rows not in self._buffers:
            self._buffers[rows] = [w.new_empty((w.shape[0], rows, w.shape[1])) for w in self.w]
        return self._buffers[rows]

    def forward(self, x: Tensor, hidden: Hidden) -> Tensor:
        """Return outputs (K, N, outputs); ``hidden`` may change each hidden layer's activations in place."""
        self._inputs, self._before, self._acted = [x], [], []
        outputs = self._outputs(x.shape[1])
        for i, z in enumerate(outputs):
            self._affine(i, self._inputs[-1], z)
            if i < self.depth - 1:
                h = activated(z, self.activation)
                # The backward pass of a nonlinearity needs its value from before units were dropped; a ReLU only
                # needs it if something other than the dropped unit's zero is propagated.
                saved = h.clone() if hidden.training and (hidden.keeps or self.activation != "relu") else h
                self._before.append(saved)
                self._acted.append(hidden(h, i))
                self._inputs.append(h)
        return outputs[-1]

    def backward(self, g: Tensor) -> None:
        """Compute the gradients of the last ``forward`` from ``g`` (K, N, outputs), the gradient at its outputs."""
        self._backward(g)

    def backward_to_inputs(self, g: Tensor) -> Tensor:
        """Compute the gradients, and return that at the inputs, (K, N, in)."""
        return self._input_gradient(0, self._backward(g))

    def layer_inputs(self, i: int) -> Tensor:
        """Return the inputs of layer ``i`` in the last ``forward``, (K, N, in)."""
        return self._inputs[i]

    def slopes(self, layer: int) -> tuple[Tensor, Tensor | None]:
        """Return first and second derivative of hidden ``layer`` in the last ``forward``, (K, N, H).

        Factors of dropout are included. The second derivative is None if it is 0, as that of a ReLU.
        """
        h, factor = self._before[layer], self._acted[layer].factor
        bend: Tensor | None = None
        if self.activation == "relu":
            slope = (h > 0).to(h.dtype)
        elif self.activation == "tanh":
            slope = 1 - h * h
            bend = -2 * h * slope
        else:
            slope = h * (1 - h)
            bend = slope * (1 - 2 * h)
        if factor is not None:
            slope, bend = slope * factor, None if bend is None else bend * factor
        return slope, bend

    def _backward(self, g: Tensor) -> Tensor:
        import torch

        for i in reversed(range(self.depth)):
            self._weight_gradient(i, g)
            if self._single(i):
                self.gb[i].copy_(summed(g, 1).squeeze(1))
            else:
                torch.sum(g, 1, out=self.gb[i])
            if i > 0:
                g = self._through_activation(self._input_gradient(i, g), i - 1)
        return g

    def _single(self, i: int) -> bool:
        """Whether layer ``i`` has one output."""
        return self.w[i].shape[1] == 1

    def _operand(self, x: Tensor) -> Tensor:
        """Return a factor of a product, rounded to the precision of products."""
        return x.bfloat16().float() if self.rounded else x

    def _product(self, a: Tensor, b: Tensor) -> Tensor:
        """Return a·b. On a CPU sums are float32: if rounded to bfloat16, their order shows only now and then."""
        import torch

        if self.rounded and a.device.type != "cpu":
            return torch.bmm(a.bfloat16(), b.bfloat16()).float()
        return torch.bmm(self._operand(a), self._operand(b))

    def _affine(self, i: int, h: Tensor, out: Tensor) -> None:
        """``out`` = h·Wᵀ + b."""
        import torch

        if self._single(i):
            torch.add(summed(self._operand(h) * self._operand(self.w[i])), self.b[i], out=out)
        elif self.rounded:
            torch.add(self._product(h, self.w[i].transpose(1, 2)), self.b[i], out=out)
        else:
            torch.baddbmm(self.b[i], h, self.w[i].transpose(1, 2), out=out)

    def _weight_gradient(self, i: int, g: Tensor) -> None:
        """∂W = gᵀ·h."""
        import torch

        if self._single(i):
            self.gw[i].copy_(summed(self._operand(g) * self._operand(self._inputs[i]), 1))
        elif self.rounded:
            self.gw[i].copy_(self._product(g.transpose(1, 2), self._inputs[i]))
        else:
            torch.bmm(g.transpose(1, 2), self._inputs[i], out=self.gw[i])

    def _input_gradient(self, i: int, g: Tensor) -> Tensor:
        """g·W."""
        if self._single(i):
            return self._operand(g) * self._operand(self.w[i])
        return self._product(g, self.w[i])

    def _through_activation(self, g: Tensor, layer: int) -> Tensor:
        """Propagate the gradient back through the nonlinearity of hidden ``layer``, in place."""
        import torch

        factor, added, unmix = self._acted[layer]
        if factor is not None:
            g.mul_(factor)
        if unmix is not None:
            g = unmix(g)
        if added is not None:
            g.add_(added)
        h = self._before[layer]
        if self.activation == "relu":
            # A dropped unit is zero like an inactive one, so the output identifies both.
            torch.ops.aten.threshold_backward.grad_input(g, h, 0, grad_input=g)
            return g
        return g.mul_(1 - h * h if self.activation == "tanh" else h * (1 - h))
