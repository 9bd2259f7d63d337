"""Gradient clipping: a bound on the gradient of a step, after penalties and noise, before the optimizer.

    norm     g ← g · min(1, c / (‖g‖ + 1e-6)),    ‖g‖ over all parameters of the run
    value    g ← min(max(g, −c), c)

As ``torch.nn.utils.clip_grad_norm_`` and ``clip_grad_value_``. The squares are summed parameter by parameter in a fixed
order, so that a norm does not depend on the stack.

Reference: Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent neural networks".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.part import Part, PerRun, Stacked
from worker.spec.sums import joint_norm

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-6
"""Added to the norm, as torch does."""
Maximum = Annotated[float, Field(ge=1e-30, le=1e9, examples=[1.0])]


class GradientClipping(Part):
    """A bound on the gradient of each step."""

    @staticmethod
    def clip(part: Stacked[Any], gradients: Sequence[Tensor]) -> None:
        """Bound the gradients of all parameters, (K, …) each, in place."""
        raise NotImplementedError


class ClipNorm(GradientClipping):
    """Scale the gradient down to the norm ``max`` where its norm over all parameters is larger."""

    equation: ClassVar[str] = "g ← g · min(1, c / (‖g‖ + 1e-6))"
    reference: ClassVar[str] = "Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent networks"

    kind: Literal["norm"] = "norm"
    max: PerRun[Maximum] = Field(description="c, the largest norm.")

    @staticmethod
    def clip(part: Stacked[ClipNorm], gradients: Sequence[Tensor]) -> None:
        """Scale by one factor for each run."""
        factor = (part.column("max", 2) / (joint_norm(gradients) + EPSILON)).clamp_max(1.0)
        for g in gradients:
            g.mul_(factor.view(-1, *(1,) * (g.dim() - 1)))


class ClipValue(GradientClipping):
    """Hold each element of the gradient between −``max`` and ``max``."""

    equation: ClassVar[str] = "g ← min(max(g, −c), c)"
    reference: ClassVar[str] = "Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent networks"

    kind: Literal["value"] = "value"
    max: PerRun[Maximum] = Field(description="c, the largest size of an element.")

    @staticmethod
    def clip(part: Stacked[ClipValue], gradients: Sequence[Tensor]) -> None:
        """Clamp one parameter after the other."""
        for g in gradients:
            bound = part.column("max", g.dim())
            g.clamp_(-bound, bound)


AnyGradientClipping = Annotated[ClipNorm | ClipValue, Field(discriminator="kind")]
