"""Linear classifier (multinomial logistic regression).

    logits = W·x + b

Reference: Cox, 1958, "The regression analysis of binary sequences".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.dense import DenseNetwork, dense_parameters
from worker.spec.families import Model, Network
from worker.spec.part import Stacked

if TYPE_CHECKING:
    from torch import Tensor


class Linear(Model):
    """One dense layer from the inputs to the logits."""

    equation: ClassVar[str] = "logits = W·x + b"
    reference: ClassVar[str] = "Cox 1958, The regression analysis of binary sequences"

    kind: Literal["linear"] = "linear"

    def parameters(self, shape: tuple[int, ...], classes: int) -> dict[str, tuple[int, ...]]:
        """One weight matrix and one bias."""
        return dense_parameters(math.prod(shape), (), classes)

    @staticmethod
    def network(part: Stacked[Linear], parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> Network:
        """A chain of one layer."""
        return DenseNetwork(parameters, gradients)
