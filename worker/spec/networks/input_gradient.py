"""The gradient of a dense chain's outputs at its inputs, and the gradients of its squared norm.

    v        a row's weights of the outputs;    y = vᵀ·z
    back     d_last = v;  uᵢ = dᵢ₊₁·Wᵢ₊₁;  dᵢ = uᵢ ⊙ φ′(zᵢ);  q = d₀·W₀ = ∂y/∂x
    forth    e₀ = s·q;  ∂Wᵢ += dᵢᵀ·eᵢ;  tᵢ = eᵢ·Wᵢᵀ;  eᵢ₊₁ = tᵢ ⊙ φ′(zᵢ)        for the penalty s/2·‖q‖²
    back     cᵢ = tᵢ ⊙ uᵢ ⊙ φ″(zᵢ) is added to the gradient at zᵢ, and goes back through the chain as usual

Products are exact sums of rounded numbers (:func:`worker.spec.sums.fixed_point`), so no library needs to be
probed for their shapes. Dropout's factor of a unit is part of φ′ and φ″.

Reference: Drucker and LeCun, 1992, "Improving generalization performance using double backpropagation".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.sums import FixedPoint, fixed_point, summed

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.dense import DenseNetwork


class InputGradient:
    """The gradient of ``v`` · outputs at the inputs, (K, N, inputs), for the rows of the last forward pass."""

    def __init__(self, network: DenseNetwork, v: Tensor) -> None:
        self._network = network
        self._w = [fixed_point(w, max(w.shape[1:])) for w in network.w]
        self._slopes = [network.slopes(i) for i in range(network.depth - 1)]
        self._at_outputs = [v]
        self._at_inputs: list[Tensor] = []
        for i in reversed(range(network.depth)):
            u = _product(self._at_outputs[0], self._w[i])
            self._at_inputs.insert(0, u)
            if i > 0:
                self._at_outputs.insert(0, u * self._slopes[i - 1][0])
        self.value = self._at_inputs[0]

    def squared_norms(self) -> Tensor:
        """Return the squared norm of each row's gradient, (K, N)."""
        return summed(self.value.square()).squeeze(2)

    def add_gradients(self, scale: Tensor) -> None:
        """Add the gradients of the sum of ``scale``/2 times the squared norms; ``scale`` is (K, 1, 1)."""
        network = self._network
        bent: list[Tensor] = []
        e = self.value * scale
        for i in range(network.depth):
            _add(network.gw[i], _product(self._at_outputs[i].transpose(1, 2), fixed_point(e, e.shape[1])), scale)
            if i < network.depth - 1:
                slope, curvature = self._slopes[i]
                t = _product(e, self._w[i].transposed)
                e = t * slope
                if curvature is not None:
                    bent.append(t * self._at_inputs[i + 1] * curvature)
        if bent:
            self._add_bent(bent, scale)

    def _add_bent(self, bent: list[Tensor], scale: Tensor) -> None:
        """Add the gradients by the nonlinearities' curvature; ``bent`` are those at each hidden layer's sums."""
        network, g = self._network, bent[-1]
        for i in reversed(range(len(bent))):
            h = network.layer_inputs(i)
            _add(network.gw[i], _product(g.transpose(1, 2), fixed_point(h, h.shape[1])), scale)
            _add(network.gb[i], summed(g, 1).squeeze(1), scale[:, :, 0])
            if i > 0:
                g = _product(g, self._w[i]) * self._slopes[i - 1][0] + bent[i - 1]


def _add(gradient: Tensor, own: Tensor, scale: Tensor) -> None:
    """Add to the gradient of runs whose ``scale`` is not 0: an infinite number must not reach the others."""
    gradient.add_(own.masked_fill_(scale == 0, 0))


def _product(a: Tensor, b: FixedPoint) -> Tensor:
    """a·b, in the precision of ``a``."""
    return fixed_point(a, a.shape[2]).times(b).to(a.dtype)
