"""Optimizers: one step on all parameters of all runs at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from worker.spec.part import Part, PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class Step(NamedTuple):
    """The arguments of an optimizer's step on some of the parameters. Every tensor is (K, P), one row per run."""

    w: Tensor
    """The parameters, changed in place."""
    g: Tensor
    """Their gradient; may be overwritten."""
    learning_rate: Tensor
    """Learning rate of each run, schedule included, (K, 1)."""
    state: Mapping[str, Tensor]
    """State of the optimizer between steps, by the names in ``Optimizer.state``."""
    t: int
    """Number of the step, from 1."""
    matrices: Callable[[Tensor], Sequence[Tensor]]
    """Return the weight matrices, views (K, out, in), in any tensor (K, P)."""


class Optimizer(Part):
    """How a gradient changes the weights."""

    state: ClassVar[tuple[str, ...]] = ()
    """Names of the tensors, one number for each parameter, that the optimizer keeps between steps, from zero on."""
    multiplies: ClassVar[bool] = False
    """Whether a step multiplies matrices: then its shapes are probed with the model's."""
    averages: ClassVar[bool] = False
    """Whether other weights are evaluated than those at which gradients are computed."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the state of this optimizer, with that of one inside it."""
        return self.state

    @property
    def multiplying(self) -> bool:
        """Whether this optimizer, or one inside it, multiplies matrices."""
        return self.multiplies

    @property
    def learning_rate(self) -> float:
        """The learning rate before the schedule; 1 for an optimizer that has none."""
        return 1.0

    @staticmethod
    def update(part: Stacked[Any], step: Step) -> None:
        """Take a step in place.

        Called once for each block of parameters. Blocks depend on K, but no parameter is divided.
        """
        raise NotImplementedError

    @staticmethod
    def enter_training(part: Stacked[Any], step: Step) -> None:
        """Replace the weights that are evaluated by those at which the gradient of ``step`` is computed, in place."""

    @staticmethod
    def enter_evaluation(part: Stacked[Any], step: Step) -> None:
        """Replace the weights by those to evaluate after ``step``, in place."""


def learning_rate_field(typical: float) -> Any:
    """The field ``lr`` of an optimizer, with a value that usually works as its example."""
    return Field(gt=0, le=1e9, examples=[typical], description="Learning rate η, before the schedule.")


DecayOn = Literal["all", "matrices"]
"""Which parameters decay: all, or only weight matrices and kernels, so neither biases nor the scales of norms."""


def decay_on_field() -> Any:
    """The field ``decay_on`` of an optimizer with weight decay."""
    return Field(
        default="all",
        exclude_if=lambda decay_on: decay_on == "all",  # so that hashes are the same as before it could be chosen
        description="Parameters that decay: all, or only matrices, which exempts biases and the parameters of norms.",
    )


class LearningRateOptimizer(Optimizer):
    """An optimizer with a learning rate."""

    lr: PerRun[float] = learning_rate_field(0.1)

    @property
    def learning_rate(self) -> float:
        """``lr``."""
        return self.lr
