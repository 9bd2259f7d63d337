"""Weight averaging: an average of the weights over the course of training, which is evaluated beside them.

    ema    a ← d·a + (1 − d)·w          after every step; a = w after the first
    swa    a ← a + (w − a)/(n + 1)       after every epoch from one on; n epochs were averaged before

Training never sees the average. Buffers, such as the running statistics of batch norm, are averaged like weights. As
``torch.optim.swa_utils.AveragedModel`` with ``use_buffers=True``.

Reference: Polyak and Juditsky, 1992, "Acceleration of stochastic approximation by averaging"; Izmailov, Podoprikhin,
Garipov, Vetrov and Wilson, 2018, "Averaging weights leads to wider optima and better generalization" (SWA).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.part import Objection, Part, PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec

SUFFIX = "_averaged"
"""Of the series that are measured with averaged weights."""


class Averaging(Part):
    """An average of the weights over the course of training."""

    by_step: ClassVar[bool] = False
    """Whether the average follows every step, or only whole epochs."""

    @property
    def first_epoch(self) -> int:
        """The first epoch after which an average exists."""
        return 1

    def has_begun(self, epoch: int) -> bool:
        """Return whether an average exists after ``epoch``."""
        return epoch >= self.first_epoch

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse an optimizer that evaluates an average itself."""
        if run.optimizer is None or not run.optimizer.averages:
            return ()
        message = f"{run.optimizer.kind!r} evaluates an average of its iterates already; leave averaging out."
        return [Objection(field=None, message=message)]

    @staticmethod
    def add(part: Stacked[Any], average: Tensor, w: Tensor, number: int) -> None:
        """Add ``w`` to the ``average`` in place, both (K, P); ``number`` counts steps or epochs of the run from 1."""
        raise NotImplementedError


class EMA(Averaging):
    """An exponential moving average of the weights after every step."""

    equation: ClassVar[str] = "a ← d·a + (1 − d)·w"
    reference: ClassVar[str] = "Polyak and Juditsky 1992, Acceleration of stochastic approximation by averaging"
    by_step: ClassVar[bool] = True

    kind: Literal["ema"] = "ema"
    decay: PerRun[float] = Field(
        default=0.999, ge=0, lt=1, description="d; the average spans about 1/(1 − d) steps, so 1000 by default."
    )

    @staticmethod
    def add(part: Stacked[EMA], average: Tensor, w: Tensor, number: int) -> None:
        """A + (1 − d)·(w − a)."""
        if number == 1:
            average.copy_(w)
        else:
            average.addcmul_(w - average, 1 - part.column("decay", 2))


class SWA(Averaging):
    """The mean of the weights after each epoch from ``from_epoch`` on."""

    equation: ClassVar[str] = "a ← a + (w − a)/(n + 1)  after each epoch from from_epoch on"
    reference: ClassVar[str] = "Izmailov et al. 2018, Averaging weights leads to wider optima and better generalization"

    kind: Literal["swa"] = "swa"
    from_epoch: int = Field(ge=1, examples=[2], description="The first epoch whose weights are averaged.")

    @property
    def first_epoch(self) -> int:
        """``from_epoch``."""
        return self.from_epoch

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse an average that the run never begins."""
        objections = list(super().objections(run))
        if self.from_epoch > run.epochs:
            message = f"The run ends after epoch {run.epochs}, before averaging begins. Use {run.epochs} or less."
            objections.append(Objection(field="from_epoch", message=message))
        return objections

    @staticmethod
    def add(part: Stacked[SWA], average: Tensor, w: Tensor, number: int) -> None:
        """A + (w − a)/(n + 1), so that the first is w itself."""
        averaged = number - part.from_epoch
        if averaged == 0:
            average.copy_(w)
        elif averaged > 0:
            average.add_(w - average, alpha=1 / (averaged + 1))


AnyAveraging = Annotated[EMA | SWA, Field(discriminator="kind")]
