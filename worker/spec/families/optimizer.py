"""Optimizers: one step on all parameters of all runs at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from worker.spec.part import Objection, Part, PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec


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
    ascends: ClassVar[bool] = False
    """Whether each step takes a second gradient, at the weights that ``ascend`` leads to."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the state of this optimizer, with that of one inside it."""
        return self.state

    @property
    def multiplying(self) -> bool:
        """Whether this optimizer, or one inside it, multiplies matrices."""
        return self.multiplies

    @property
    def couples(self) -> bool:
        """Whether the step of a parameter depends on the others; all parameters of a run are then one block."""
        return False

    @property
    def needs_all_rows(self) -> bool:
        """Whether a batch must have all training rows."""
        return False

    @property
    def learning_rate(self) -> float:
        """The learning rate before the schedule; 1 for an optimizer that has none."""
        return 1.0

    @staticmethod
    def update(part: Stacked[Any], step: Step) -> None:
        """Take a step in place.

        Called once for each block of parameters. Blocks depend on K, but no parameter is divided. An optimizer that
        ``couples`` parameters gets one block, in which they have the model's order and the gaps between them are 0.
        """
        raise NotImplementedError

    @staticmethod
    def ascend(part: Stacked[Any], weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Move all parameters, (K, …) each, to where the second gradient is taken, in place."""
        raise NotImplementedError

    @staticmethod
    def enter_training(part: Stacked[Any], step: Step) -> None:
        """Replace the weights that are evaluated by those at which the gradient of ``step`` is computed, in place."""

    @staticmethod
    def enter_evaluation(part: Stacked[Any], step: Step) -> None:
        """Replace the weights by those to evaluate after ``step``, in place."""


class WrappingOptimizer(Optimizer):
    """An optimizer around the one in its field ``optimizer``, which takes the steps."""

    if TYPE_CHECKING:
        optimizer: Optimizer

    @property
    def state_names(self) -> tuple[str, ...]:
        """The own state, and that of the optimizer inside."""
        return (*self.state, *self.optimizer.state_names)

    @property
    def multiplying(self) -> bool:
        """As the optimizer inside."""
        return self.optimizer.multiplying

    @property
    def couples(self) -> bool:
        """As the optimizer inside."""
        return self.optimizer.couples

    @property
    def needs_all_rows(self) -> bool:
        """As the optimizer inside."""
        return self.optimizer.needs_all_rows

    @property
    def learning_rate(self) -> float:
        """That of the optimizer inside."""
        return self.optimizer.learning_rate

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse an optimizer that works only by itself, and pass on what the one inside refuses."""
        inside = self.optimizer
        if inside.kind == self.kind or inside.averages or inside.ascends:
            message = f"{inside.kind!r} does not work inside {self.kind!r}; name it directly, or another one."
            return [Objection(field="optimizer", message=message)]
        return [
            Objection(
                field=f"optimizer.{one.field}" if one.field else "optimizer", message=one.message, allowed=one.allowed
            )
            for one in inside.objections(run)
        ]


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
