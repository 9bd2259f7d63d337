"""Rows of a dataset on the device: those that models are evaluated on, and the targets of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from worker.engine.stack import Member

SUBSET_ROWS = 10_000
"""At most so many training rows are evaluated for ``train.loss_eval``."""


Rows = np.ndarray[Any, np.dtype[np.int64]]


class EvaluationRows(Protocol):
    """Rows that models are evaluated on, the same for all runs or other ones for each."""

    @property
    def y(self) -> Tensor:
        """Targets (n,), or those of several splits (S, n)."""

    @property
    def weights(self) -> Tensor | None:
        """How many rows each row counts as, float64 of the same shape; None: each as one."""

    @property
    def size(self) -> int:
        """Number of rows of each run, n."""

    def chunks(self, members: Sequence[Member], height: int) -> Iterator[Split]:
        """Yield ``height`` rows at a time: of all runs, (h, …), or of each, (K, h, …)."""


class InputRows(EvaluationRows, Protocol):
    """Evaluation rows that are the same for all runs."""

    @property
    def x(self) -> Tensor:
        """Inputs of all rows, (n, …)."""


class Split(NamedTuple):
    """Rows in evaluation form: inputs x (n, D) float32; targets y (n,), int64 labels or float32 numbers.

    With a leading dimension K, each run has rows of its own.
    """

    x: Tensor
    y: Tensor
    weights: Tensor | None = None

    @property
    def size(self) -> int:
        """Number of rows, n."""
        return self.y.shape[-1]

    def chunks(self, members: Sequence[Member], height: int) -> Iterator[Split]:
        """Yield ``height`` rows at a time, the same for all members."""
        for first in range(0, self.size, height):
            rows = slice(first, first + height)
            yield Split(self.x[rows], self.y[rows], None if self.weights is None else self.weights[rows])


@dataclass(frozen=True)
class RawRows:
    """Rows that stay as they are stored, uint8 for images, until a chunk of them becomes inputs of a model.

    ``raw`` is (n, D); ``inputs`` turns raw rows into inputs.
    """

    raw: Tensor
    y: Tensor
    weights: Tensor | None
    inputs: Callable[[Tensor], Tensor]

    @property
    def x(self) -> Tensor:
        """Inputs of all rows (n, D), float32."""
        return self.inputs(self.raw)

    @property
    def size(self) -> int:
        """Number of rows, n."""
        return len(self.y)

    def chunks(self, members: Sequence[Member], height: int) -> Iterator[Split]:
        """Yield ``height`` rows at a time, the same for all members."""
        for chunk in Split(self.raw, self.y, self.weights).chunks(members, height):
            yield chunk._replace(x=self.inputs(chunk.x))


class Targets(NamedTuple):
    """The targets of a split's rows: int64 labels, or float32 numbers in the unit that models learn."""

    train: Tensor
    validation: Tensor
    test: Tensor
    unit: float
    """One standardized unit in the unit of the target."""
    zero: float = 0.0
    """The standardized value of a target that is 0, to the bit."""
    train_weights: Tensor | None = None
    """How many rows each training row counts as, (n,) float64 with mean 1; None: each as one."""
    validation_weights: Tensor | None = None
    test_weights: Tensor | None = None
