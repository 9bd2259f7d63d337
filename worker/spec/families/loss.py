"""Losses, their gradients, and the metrics computed with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from worker.spec.families.dataset import Task
from worker.spec.part import Objection, Part, Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec


class Loss(Part):
    """The quantity that training minimizes: a loss for every row, and a statistic for its scores.

    Targets are ``y`` (K, N); if rows were mixed, ``mixed`` (K, N, outputs) replaces them.
    """

    task: ClassVar[Task]
    metric_names: ClassVar[tuple[str, ...]]
    """The names of the series that :meth:`metrics` returns."""
    evaluation_names: ClassVar[tuple[str, ...]] = ()
    """The names of further series, which :meth:`evaluation_metrics` returns; recorded in evaluation mode only."""

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse a dataset of the other task."""
        if run.dataset.task == self.task:
            return ()
        theirs = "a number" if self.task == "classification" else "a class"
        message = f"{self.kind!r} is a loss of {self.task}, and the target of this dataset is {theirs}; leave loss out."
        return [Objection(field=None, message=message)]

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
    def row_scores(part: Stacked[Any], predicted: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Return further values of each row, (K, N) each, that :meth:`tally` sums."""
        return ()

    @staticmethod
    def tally(scores: Sequence[Tensor], statistic: Tensor, repeats: Tensor | int = 1) -> Tensor:
        """Return sums (K, S) over rows, given their ``scores`` and ``statistic`` (K, N); exact in any order.

        Each row counts ``repeats`` times, (N,).
        """
        return statistic[:, :0].long()

    @staticmethod
    def evaluation_metrics(sums: Tensor, rows: int) -> Mapping[str, Tensor]:
        """Return metrics (K,) by name, from the sums (K, S) of ``rows`` rows."""
        return {}


class Regression(Loss):
    """A loss of the residual r = ŷ − y. R² and the root of the mean squared residual are its scores."""

    task: ClassVar[Task] = "regression"
    metric_names: ClassVar[tuple[str, ...]] = ("r2", "rmse")

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


def residual(predicted: Tensor, y: Tensor, mixed: Tensor | None) -> Tensor:
    """The residual ŷ − y (K, N), given predictions (K, N, 1)."""
    return predicted.squeeze(2) - (y if mixed is None else mixed.squeeze(2))
