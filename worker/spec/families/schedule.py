"""Schedules: the learning rate over the epochs, or over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from worker.spec.part import Objection, Part

if TYPE_CHECKING:
    from worker.spec.run import RunSpec

History = Mapping[str, Sequence[float | None]]
"""Series by name, from epoch 1; None where a value is not finite or not measured."""
MAX_EPOCHS = 100_000
NO_HISTORY: History = MappingProxyType({})


class Moment(NamedTuple):
    """A step of a run, and what is known before it."""

    step: int
    """Number of the step, from 1."""
    steps_per_epoch: int
    epochs: int
    total_steps: int
    """Steps of the whole run."""
    history: History = NO_HISTORY
    """The values that were recorded in the epochs before that of the step."""

    @property
    def epoch(self) -> int:
        """The epoch of the step, from 1."""
        return (self.step - 1) // self.steps_per_epoch + 1


class Schedule(Part):
    """The learning rate over the run, as a factor on the optimizer's ``lr``.

    A schedule by epochs defines ``factor``; one that changes within epochs, or depends on what was recorded, defines
    ``factor_at``. Both are pure functions, so that a resumed run continues with the same factors.
    """

    @property
    def spans(self) -> bool:
        """Whether the factor of an epoch depends on the total number of epochs."""
        return False

    @property
    def by_step(self) -> bool:
        """Whether the factor changes within an epoch."""
        return False

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor in ``epoch``, counted from 1 to ``epochs``."""
        raise NotImplementedError

    def factor_at(self, moment: Moment) -> float:
        """Return the factor of a step; by default, that of its epoch."""
        return self.factor(moment.epoch, moment.epochs)


def warmup_field(**options: Any) -> Any:
    """The field ``warmup`` of a schedule by steps."""
    text = "Epochs, or a fraction of one, in whose steps the learning rate rises linearly to the full one."
    return Field(default=0.0, ge=0, le=MAX_EPOCHS, description=text, **options)


class SpanningSchedule(Schedule):
    """A schedule by steps that spans the run: a linear rise, then a curve down to ``final``.

        η_i = η · (i + 1)/(w + 1)                     in the w steps of the warm-up, i = 0 … w − 1
        η_i = η · (φ + (1 − φ)·c((i − w)/(T − w)))     in the others, i = w … T − 1

    No step has a learning rate of 0: the warm-up starts above it, and the curve would reach ``final`` one step after
    the last.
    """

    warmup: float = warmup_field()
    final: float = Field(default=0.0, ge=0, le=1, description="φ, the factor that the last step comes close to.")

    @property
    def spans(self) -> bool:
        """The curve ends with the run."""
        return True

    @property
    def by_step(self) -> bool:
        """Every step has its own factor."""
        return True

    def curve(self, done: float) -> float:
        """Return the height after a share ``done`` of the way, from 1 at 0 to 0 at 1."""
        raise NotImplementedError

    def factor_at(self, moment: Moment) -> float:
        """The rise, or the curve after it."""
        index, rise = moment.step - 1, self.warmup_steps(moment.steps_per_epoch)
        if index < rise:
            return (index + 1) / (rise + 1)
        return self.final + (1 - self.final) * self.curve((index - rise) / (moment.total_steps - rise))

    def warmup_steps(self, steps_per_epoch: int) -> int:
        """Return the number of steps of the warm-up."""
        return round(self.warmup * steps_per_epoch)

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a warm-up that is as long as the run."""
        rise, steps = self.warmup_steps(run.steps_per_epoch), run.total_steps
        if not run.model.trains or rise < steps:
            return ()
        message = (
            f"The warm-up takes {rise} steps, and the run has {steps}. Set warmup below "
            f"{steps / run.steps_per_epoch:g} epochs, or train for longer."
        )
        return [Objection(field="warmup", message=message)]
