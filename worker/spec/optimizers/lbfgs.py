"""L-BFGS: a quasi-Newton method that estimates curvature from the last steps and the changes of the gradient in them.

    w ← w − t·H·g,    t = η; in the first step η·min(1, 1/‖g‖₁)

H is an estimate of the inverse Hessian: the diagonal (sᵀy/yᵀy)·I of the newest pair, updated by the last m pairs

    s = w − w₋,   y = g − g₋                                    where yᵀs > 1e-10

in the two-loop recursion. A step is one iteration without line search, so the gradient must be that of all rows. Each
run decides by itself which pairs it stores. It rests where no |gᵢ| exceeds 1e-7, or where gᵀHg is below 1e-9.

Reference: Liu and Nocedal, 1989, "On the limited memory BFGS method for large scale optimization"; this form is that of
``torch.optim.LBFGS`` with ``max_iter=1``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.optimizer import LearningRateOptimizer, Step, learning_rate_field
from worker.spec.part import PerRun, Stacked
from worker.spec.sums import summed

if TYPE_CHECKING:
    from torch import Tensor

MIN_CURVATURE = 1e-10
"""yᵀs of a pair must exceed this."""
MIN_GRADIENT = 1e-7
"""Where no element of the gradient is larger, a run is at a minimum."""
MIN_DECREASE = 1e-9
"""Where the step promises a smaller decrease of the loss per unit of t, a run is at a minimum."""


class LBFGS(LearningRateOptimizer):
    """Step to the minimum of a quadratic model of the loss, whose curvature comes from the last steps.

    It needs the gradient of all rows: ``batch_size`` is at least their number.
    """

    equation: ClassVar[str] = "w ← w − η·H·g;  H ≈ (∇²J)⁻¹ from the last m pairs s = Δw, y = Δg with yᵀs > 0"
    reference: ClassVar[str] = "Liu and Nocedal 1989, On the limited memory BFGS method for large scale optimization"

    kind: Literal["lbfgs"] = "lbfgs"
    lr: PerRun[float] = learning_rate_field(1.0)
    history_size: int = Field(
        default=10, ge=1, le=100, description="m, the pairs stored; each takes twice the memory of the parameters."
    )

    @property
    def state_names(self) -> tuple[str, ...]:
        """Weights and gradient of the step before, and the pairs, the newest last."""
        pairs = range(self.history_size)
        return ("previous_weights", "previous_gradient", *(f"s{i}" for i in pairs), *(f"y{i}" for i in pairs))

    @property
    def couples(self) -> bool:
        """Every parameter's step depends on the whole gradient."""
        return True

    @property
    def needs_all_rows(self) -> bool:
        """The gradients of two batches differ by more than curvature."""
        return True

    @staticmethod
    def update(part: Stacked[LBFGS], step: Step) -> None:
        """Store the newest pair and step, both only in runs for which they make sense."""
        import torch

        w, g, before = step.w, step.g, step.state["previous_gradient"]
        active = ~(g.abs().amax(1, keepdim=True) <= MIN_GRADIENT)  # so that NaN is active, and diverges
        begun = (before != 0).any(1, keepdim=True)
        s, y = w - step.state["previous_weights"], g - before
        accepted = active & begun & (_dot(s, y) > MIN_CURVATURE)
        _shift(_pairs(step.state, "s", part.history_size), s, accepted)
        _shift(_pairs(step.state, "y", part.history_size), y, accepted)
        for name, now in (("previous_weights", w), ("previous_gradient", g)):
            step.state[name].copy_(torch.where(active, now, step.state[name]))
        d = direction(g, _pairs(step.state, "s", part.history_size), _pairs(step.state, "y", part.history_size))
        first = step.learning_rate * summed(g.abs()).reciprocal().clamp_max(1)
        t = torch.where(begun, step.learning_rate, first)
        moves = active & ~(_dot(g, d) > -MIN_DECREASE)
        w.copy_(torch.where(moves, torch.addcmul(w, d, t), w))


def direction(g: Tensor, s: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """Return −H·g by the two-loop recursion; all are (K, P). Pairs go from old to new, and are zero before the first.

    Reference: Nocedal and Wright, 2006, "Numerical optimization", algorithm 7.4.
    """
    import torch

    curvature = [_dot(own_s, own_y) for own_s, own_y in zip(s, y, strict=True)]
    rho = [torch.where(own > 0, own.reciprocal(), 0.0) for own in curvature]
    pairs = list(zip(s, y, rho, strict=True))
    d = g.neg()
    alphas: list[Tensor] = []
    for own_s, own_y, own_rho in reversed(pairs):
        alpha = _dot(own_s, d).mul_(own_rho)
        d.addcmul_(own_y, alpha, value=-1)
        alphas.append(alpha)
    d.mul_(torch.where(curvature[-1] > 0, curvature[-1] / _dot(y[-1], y[-1]), 1.0))
    for (own_s, own_y, own_rho), alpha in zip(pairs, reversed(alphas), strict=True):
        d.addcmul_(own_s, alpha - _dot(own_y, d).mul_(own_rho))
    return d


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the products of the rows of ``a`` and ``b`` (K, P), (K, 1)."""
    return summed(a * b)


def _pairs(state: Mapping[str, Tensor], name: str, size: int) -> list[Tensor]:
    """Return one side of the stored pairs, from old to new."""
    return [state[f"{name}{i}"] for i in range(size)]


def _shift(stored: Sequence[Tensor], newest: Tensor, accepted: Tensor) -> None:
    """Append ``newest`` in the runs that ``accepted`` it, (K, 1), and drop their oldest."""
    import torch

    for own, following in zip(stored, [*stored[1:], newest], strict=True):
        own.copy_(torch.where(accepted, following, own))
