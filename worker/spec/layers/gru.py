"""Gated recurrent unit: a hidden state that is updated at each place of a sequence.

    r = σ(W_r·x + U_r·h + b_r),    z = σ(W_z·x + U_z·h + b_z)
    n = tanh(W_n·x + b_n + r ⊙ (U_n·h + c_n)),    h ← (1 − z) ⊙ n + z ⊙ h

Reference: Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine
translation"; ``torch.nn.GRU``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from worker.spec.families.recurrent_layer import RecurrentLayer

if TYPE_CHECKING:
    from torch import Tensor


class GRULayer(RecurrentLayer):
    """A hidden state with a reset and an update gate."""

    equation: ClassVar[str] = "n = tanh(W·x + b + r ⊙ (U·h + c));  h ← (1 − z) ⊙ n + z ⊙ h"
    reference: ClassVar[str] = "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder"
    onnx_gates: ClassVar[tuple[int, ...]] = (1, 0, 2)
    onnx_attributes: ClassVar[dict[str, Any]] = {"linear_before_reset": 1}

    kind: Literal["gru"] = "gru"

    def states(self, x: Tensor, weights: list[Tensor], initial: Tensor) -> Tensor:
        """Return the hidden state at each place."""
        import torch

        return torch.gru(x, initial, weights, True, 1, 0.0, False, self.bidirectional, True)[0]
