"""SGD with momentum (the heavy ball): steps go on in the direction they had.

    m ← μ·m + g
    w ← w − η·m

Reference: Polyak, 1964, "Some methods of speeding up the convergence of iteration methods"; this form, with the
learning rate outside of the buffer, is that of ``torch.optim.SGD``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families import Optimizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class Momentum(Optimizer):
    """Step against a decaying sum of the gradients."""

    equation: ClassVar[str] = "m ← μ·m + g;  w ← w − η·m"
    reference: ClassVar[str] = "Polyak 1964, Some methods of speeding up the convergence of iteration methods"
    state: ClassVar[tuple[str, ...]] = ("momentum_buffer",)

    kind: Literal["momentum"] = "momentum"
    momentum: PerRun[float] = Field(default=0.9, ge=0, lt=1, description="μ; 0 is plain SGD.")

    @staticmethod
    def update(part: Stacked[Momentum], w: Tensor, g: Tensor, lr: Tensor, state: Mapping[str, Tensor], t: int) -> None:
        """M ← μ·m + g, then w ← w − η·m."""
        m = state["momentum_buffer"]
        m.mul_(part.column("momentum", 2)).add_(g)
        w.addcmul_(m, lr, value=-1)
