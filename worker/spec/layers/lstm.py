"""Long short-term memory: a cell beside the hidden state, which gates write, keep and read.

    i, f, o = σ(W·x + U·h + b) each,    g = tanh(W_g·x + U_g·h + b_g)
    c ← f ⊙ c + i ⊙ g,    h ← o ⊙ tanh(c)

Reference: Hochreiter and Schmidhuber, 1997, "Long short-term memory"; Gers, Schmidhuber and Cummins, 2000, "Learning to
forget" (the gate f); ``torch.nn.LSTM``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.families.recurrent_layer import RecurrentLayer

if TYPE_CHECKING:
    from torch import Tensor


class LSTMLayer(RecurrentLayer):
    """A hidden state and a cell with three gates."""

    equation: ClassVar[str] = "c ← f ⊙ c + i ⊙ g;  h ← o ⊙ tanh(c)"
    reference: ClassVar[str] = "Hochreiter and Schmidhuber 1997, Long short-term memory"
    onnx_gates: ClassVar[tuple[int, ...]] = (0, 3, 1, 2)

    kind: Literal["lstm"] = "lstm"

    def states(self, x: Tensor, weights: list[Tensor], initial: Tensor) -> Tensor:
        """Return the hidden state at each place."""
        import torch

        cells = (initial, initial)
        return torch.lstm(x, cells, weights, True, 1, 0.0, False, self.bidirectional, True)[0]
