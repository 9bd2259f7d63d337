"""Measurements of the runs of a stack after an epoch, in evaluation mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from worker.engine.evaluation import evaluate, recovery, variance
from worker.engine.rows import SUBSET_ROWS, EvaluationRows
from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.spec.averaging import SUFFIX
from worker.spec.families.loss import RowTargets
from worker.spec.run import RunSpec


class Evaluator:
    """Evaluates stacks of runs like ``spec`` on ``data``. Metrics are tensors (K,) by the name of their series."""

    def __init__(self, spec: RunSpec, data: StackData) -> None:
        self._spec = spec
        self._data = data
        self._variances: dict[tuple[str, str], Tensor] = {}

    @property
    def training_rows(self) -> int:
        """Number of training rows that are evaluated."""
        return len(self._data) if self._spec.evaluate.train == "full" else min(SUBSET_ROWS, len(self._data))

    def evaluate(self, stack: Stack, epoch: int = 0) -> dict[str, Tensor]:
        """Return the metrics of every split that the spec evaluates, after ``epoch``."""
        return self._evaluated(stack, epoch, self._splits())

    def evaluate_remembered(self, stack: Stack) -> dict[str, Tensor]:
        """Return the metrics of training rows for a model that keeps them, in place of those of batches."""
        measured: dict[str, Tensor] = {}
        for suffix, rows in self._data.remembered(self.training_rows).items():
            measured |= self._measured(stack, "train", suffix, rows)
        return measured

    def evaluate_test(self, stack: Stack, epoch: int = 0) -> dict[str, Tensor]:
        """Return the metrics of the test rows after ``epoch``."""
        return self._evaluated(stack, epoch, [("test", "", self._data.test)])

    def _evaluated(
        self, stack: Stack, epoch: int, splits: Sequence[tuple[str, str, EvaluationRows]]
    ) -> dict[str, Tensor]:
        """Evaluate the weights on each split, and also their average after ``epoch`` if one exists."""
        measured: dict[str, Tensor] = {}
        for split, suffix, rows in splits:
            measured |= self._measured(stack, split, suffix, rows)
        if stack.averages is not None and stack.averages.have_begun(epoch):
            with stack.averages.in_use():
                for split, suffix, rows in splits:
                    measured |= self._measured(stack, split, f"{suffix}{SUFFIX}", rows)
        return measured

    def batch_metrics(self, stack: Stack, means: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Return the metrics of the training batches, from their mean loss and mean statistic."""
        return self._named(stack, "train", "", means, self._data.y_of_splits, self._data.weights_of_splits)

    def recovered(self, stack: Stack) -> dict[str, Tensor]:
        """Return the distance of a linear model from the coefficients of the data, if these are known."""
        known = self._data.coefficients
        return {} if known is None or self._spec.model.kind != "linear" else recovery(stack.matrices[0][0], known)

    def _splits(self) -> list[tuple[str, str, EvaluationRows]]:
        """Return the evaluations of an epoch: split, suffix of its series, rows."""
        options, data = self._spec.evaluate, self._data
        splits: list[tuple[str, str, EvaluationRows]] = []
        if options.train != "never":
            splits.append(("train", "_eval", data.training(self.training_rows)))
        if data.validation.size:
            splits.append(("val", "", data.validation))
        if options.test == "every_epoch":
            splits.append(("test", "", data.test))
        return splits

    def _measured(self, stack: Stack, split: str, suffix: str, rows: EvaluationRows) -> dict[str, Tensor]:
        """Evaluate one split."""
        data, loss = self._data, self._spec.effective_loss
        evaluation = evaluate(stack, rows, data.class_weights_of(stack.members))
        unit, zero = data.units_of(stack.members), data.zeros_of(stack.members)
        targets = RowTargets(evaluation.y, evaluation.weights, data.spec.outputs, unit, zero)
        more = loss.evaluation_metrics(evaluation.scores, targets)
        return {
            **self._named(stack, split, suffix, (evaluation.loss, evaluation.statistic), rows.y, rows.weights),
            **{f"{split}.{name}{suffix}": values for name, values in more.items()},
        }

    def _named(
        self,
        stack: Stack,
        split: str,
        suffix: str,
        means: tuple[Tensor, Tensor],
        y: Tensor,
        weights: Tensor | None,
    ) -> dict[str, Tensor]:
        """Return the series of one split by name: its mean loss, and the scores of its mean statistic and targets."""
        effective_loss = self._spec.effective_loss
        loss, statistic = means
        spread = statistic
        if effective_loss.task == "regression":
            if (split, suffix) not in self._variances:  # the rows of a split are the same in every epoch
                self._variances[split, suffix] = variance(y, weights)
            spread = self._data.of_runs(self._variances[split, suffix], stack.members)
        scores = effective_loss.metrics(statistic, spread, self._data.units_of(stack.members))
        return {f"{split}.loss{suffix}": loss, **{f"{split}.{name}{suffix}": score for name, score in scores.items()}}


def rows_of(columns: Mapping[str, Tensor], count: int) -> list[dict[str, float]]:
    """Return tensors (K,) by name as a dictionary for each of ``count`` runs."""
    lists = {name: column.tolist() for name, column in columns.items()}
    return [{name: column[i] for name, column in lists.items()} for i in range(count)]
