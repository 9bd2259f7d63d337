"""Losses, their gradients, and the metrics computed with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from worker.spec.families.dataset import Task
from worker.spec.part import Objection, Part, Stacked
from worker.spec.sums import ordered_sum, weighted_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from worker.spec.run import RunSpec


UNIT_BITS = 32
"""Of the largest weight of a row, as an integer."""


class RowTargets(NamedTuple):
    """The targets of evaluated rows, y (K, N), and how scores count them."""

    y: Tensor
    weights: Tensor | None = None
    """How many rows each row counts as, (K, N) float64; None: each as one."""
    outputs: int = 1
    unit: float | Tensor = 1.0
    """One standardized unit in the unit of numeric targets: of all runs, or of each, (K,)."""
    zero: float | Tensor = 0.0
    """The standardized value of a target that is 0, likewise."""

    @property
    def total(self) -> int | Tensor:
        """Number of rows, or the sum of their weights, (K,)."""
        return self.y.shape[1] if self.weights is None else ordered_sum(self.weights)

    @property
    def units(self) -> Tensor | None:
        """The weights as integers (K, N), in proportion; exact for weights that are integers themselves."""
        import torch

        if self.weights is None:
            return None
        exponent = torch.frexp(self.weights.amax(1, keepdim=True)).exponent
        return torch.ldexp(self.weights, UNIT_BITS - exponent).round_().long()


class Loss(Part):
    """The quantity that training minimizes: a loss for every row, and a statistic for its scores.

    Targets are ``y`` (K, N); if rows were mixed, ``mixed`` (K, N, outputs) replaces them.
    """

    task: ClassVar[Task]
    metric_names: ClassVar[tuple[str, ...]]
    """The names of the series that :meth:`metrics` returns."""
    evaluation_names: ClassVar[tuple[str, ...]] = ()
    """The names of further series, which :meth:`evaluation_metrics` returns; recorded in evaluation mode only."""

    def weights_of_classes(self, counts: Tensor) -> Tensor | None:
        """Return the weight of each class in the mean loss, (S, C) float64; None weights rows alike.

        ``counts`` (S, C) are the training rows of each split's classes; only the ratios of weights matter.
        """
        return None

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a dataset of the other task."""
        if run.dataset.task == self.task:
            return ()
        theirs = "a number" if self.task == "classification" else "a class"
        from worker.spec.losses import KINDS

        fitting = [kind for kind, loss in KINDS.items() if loss.task == run.dataset.task]
        message = (
            f"{self.kind!r} is a loss of {self.task}, and the target of this dataset is {theirs}; leave loss out, or "
            f"use {' or '.join(map(repr, fitting))}."
        )
        return [Objection(field=None, message=message, allowed=fitting)]

    @staticmethod
    def predict(part: Stacked[Any], z: Tensor) -> Tensor:
        """Return the predictions for outputs z (K, N, outputs), same shape: log-probabilities, or numbers."""
        raise NotImplementedError

    @staticmethod
    def encode(part: Stacked[Any], y: Tensor, outputs: int) -> Tensor:
        """Return targets y (K, N) in a form that can be mixed, (K, N, outputs)."""
        raise NotImplementedError

    @staticmethod
    def loss(part: Stacked[Any], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """Return the loss of each row, (K, N)."""
        raise NotImplementedError

    @staticmethod
    def statistic(part: Stacked[Any], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """Return the statistic of each row from which scores are computed, (K, N) float32."""
        raise NotImplementedError

    @staticmethod
    def gradient(part: Stacked[Any], predicted: Tensor, y: Tensor, mixed: Tensor | None, rows: int) -> Tensor:
        """Return the gradient at the outputs, (K, N, outputs), of a mean loss over ``rows`` rows."""
        raise NotImplementedError

    @staticmethod
    def metrics(mark: Tensor, variance: Tensor, unit: float | Tensor) -> Mapping[str, Tensor]:
        """Return metrics (K,) by name, from a split's mean statistic ``mark`` (K,) and the variance of its targets.

        ``unit`` is 1 in the unit of the original targets, if targets were standardized.
        """
        raise NotImplementedError

    @staticmethod
    def row_scores(part: Stacked[Any], predicted: Tensor, y: Tensor, rows: int) -> tuple[Tensor, ...]:
        """Return the statistic of each row, and further values, (K, N, …) each, for :meth:`evaluation_metrics`.

        ``rows`` is the number of all rows, of which these are a part.
        """
        return (part.statistic(predicted, y, None),)

    @staticmethod
    def evaluation_metrics(scores: Sequence[Tensor], targets: RowTargets) -> Mapping[str, Tensor]:
        """Return metrics (K,) by name, from the ``scores`` of all rows; undefined ones are not a number."""
        return {}


class Regression(Loss):
    """A loss of the residual r = ŷ − y. Its scores are R², and the root mean squared residual ``rmse``.

    In evaluation mode the mean absolute residual ``mae`` and the mean absolute relative one, ``mape``, are added.
    """

    task: ClassVar[Task] = "regression"
    metric_names: ClassVar[tuple[str, ...]] = ("r2", "rmse")
    evaluation_names: ClassVar[tuple[str, ...]] = ("mae", "mape")

    def residual_losses(self, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the losses of rows, given their residuals."""
        raise NotImplementedError

    @staticmethod
    def predict(part: Stacked[Any], z: Tensor) -> Tensor:
        """The outputs themselves."""
        return z

    @staticmethod
    def encode(part: Stacked[Any], y: Tensor, outputs: int) -> Tensor:
        """The numbers themselves."""
        return y.unsqueeze(2)

    @staticmethod
    def statistic(part: Stacked[Any], predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
        """r²."""
        return residual(predicted, y, mixed).square()

    @staticmethod
    def metrics(mark: Tensor, variance: Tensor, unit: float | Tensor) -> Mapping[str, Tensor]:
        """R² = 1 − mean(r²)/variance, not a number where targets do not vary, and √mean(r²) in the targets' unit."""
        return {"r2": 1 - mark / variance, "rmse": mark.sqrt() * unit}

    @staticmethod
    def row_scores(part: Stacked[Any], predicted: Tensor, y: Tensor, rows: int) -> tuple[Tensor, ...]:
        """r² and |r|."""
        r = residual(predicted, y, None)
        return r.square(), r.abs()

    @staticmethod
    def evaluation_metrics(scores: Sequence[Tensor], targets: RowTargets) -> Mapping[str, Tensor]:
        """The mean of |r| in the targets' unit, and of |r| / |y|, which is undefined if a target is 0."""
        import torch

        _, size = scores
        zero = torch.as_tensor(targets.zero, dtype=torch.float64, device=size.device).view(-1, 1)
        relative = weighted_mean(size / (targets.y.double() - zero).abs(), targets.weights)
        return {
            "mae": weighted_mean(size, targets.weights) * targets.unit,
            "mape": relative.masked_fill(~relative.isfinite(), math.nan),
        }


def residual(predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
    """The residual ŷ − y (K, N), given predictions (K, N, 1)."""
    return predicted.squeeze(2) - (y if mixed is None else mixed.squeeze(2))
