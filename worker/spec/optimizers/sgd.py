"""Stochastic gradient descent.

    w ← w − η·g

Reference: Robbins and Monro, 1951, "A stochastic approximation method".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from worker.spec.families import Optimizer
from worker.spec.part import Stacked

if TYPE_CHECKING:
    from torch import Tensor


class SGD(Optimizer):
    """Step against the gradient."""

    equation: ClassVar[str] = "w ← w − η·g"
    reference: ClassVar[str] = "Robbins and Monro 1951, A stochastic approximation method"

    kind: Literal["sgd"] = "sgd"

    @staticmethod
    def update(part: Stacked[SGD], w: Tensor, g: Tensor, lr: Tensor, state: Mapping[str, Tensor], t: int) -> None:
        """W ← w − η·g."""
        w.addcmul_(g, lr, value=-1)
