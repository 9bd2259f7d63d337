"""Baselines: the metrics of predictions that ignore the inputs, on the rows that the model is evaluated on.

- Classes: every row gets the class frequencies of the training rows as its probabilities, and so their most frequent
  class as its prediction. ``accuracy_random`` is the expected accuracy of drawing each class by its frequency. A class
  that the training rows lack counts as one row, so that the loss is finite. The calibration error is near 0 if the
  classes are as frequent as among the training rows.
  With class weights, the loss is that of the weighted class frequencies, which minimize it.
- Numeric targets: every row gets the mean of the training rows.
- Rows in order of time also get the last value: the target of the row before, as ``…_last_value``. For classes it has
  no loss and no other score of probabilities, because a certain prediction that is wrong has an infinite loss.

Reference: Hyndman and Koehler, 2006, "Another look at measures of forecast accuracy" (the last value as a baseline).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from worker.engine.evaluation import variance
from worker.engine.rows import Targets
from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.spec.classification import class_metrics
from worker.spec.families.loss import RowTargets
from worker.spec.families.model import CHUNK_ROWS
from worker.spec.sums import counted, ordered_sum, weighted_mean

Baseline = Mapping[str, float | None]
"""Values by metric, such as ``val.loss``; None if they are undefined."""


class _Rows(NamedTuple):
    """The targets (n,) that are predicted, their weights, and the split that they are of."""

    y: Tensor
    weights: Tensor | None
    targets: Targets
    class_weights: Tensor | None
    """Weights of the classes in the mean loss, (C,)."""


def baselines_of(stack: Stack, data: StackData) -> list[Baseline]:
    """Return the baseline of each run of ``stack``."""
    class_weights = data.class_weights(stack.members[0].spec.effective_loss)
    by_split = [
        _baselines(stack, data, targets, None if class_weights is None else class_weights[number])
        for number, targets in enumerate(data.targets)
    ]
    return [by_split[split][i] for i, split in enumerate(data.splits_of(stack.members).tolist())]


def _baselines(stack: Stack, data: StackData, targets: Targets, class_weights: Tensor | None) -> list[Baseline]:
    """Return the baselines of all runs of ``stack`` as if each had the split with these targets."""
    evaluated = {
        "train": (targets.train, targets.train_weights),
        "val": (targets.validation, targets.validation_weights),
    }
    if stack.members[0].spec.evaluate.test != "never":
        evaluated["test"] = targets.test, targets.test_weights
    columns: dict[str, Tensor] = {}
    for split, (y, weights) in evaluated.items():
        if not len(y):
            continue
        rows = _Rows(y, weights, targets, class_weights)
        of_split = _class_metrics if data.spec.classes else _number_metrics
        metrics = {**of_split(stack, data, rows), **_last_value_metrics(stack, data, rows, split)}
        columns |= {f"{split}.{name}": values.expand(len(stack)) for name, values in metrics.items()}
    lists = {name: values.tolist() for name, values in columns.items()}
    return [
        {name: values[i] if math.isfinite(values[i]) else None for name, values in lists.items()}
        for i in range(len(stack))
    ]


def _class_metrics(stack: Stack, data: StackData, rows: _Rows) -> dict[str, Tensor]:
    """Return the metrics (K,) of predicting the class frequencies; one row of each class is evaluated and weighted."""
    classes, loss = len(data.spec.classes), stack.loss
    trained = counted(rows.targets.train, rows.targets.train_weights, classes)
    trained = torch.where(trained > 0, trained, 1.0)
    counts = counted(rows.y, rows.weights, classes)
    total = len(rows.y) if rows.weights is None else counts.sum()
    frequencies, shares = trained / trained.sum(), counts / total
    labels = torch.arange(classes, device=rows.y.device).expand(len(stack), -1)
    outputs = _predicted(stack, frequencies)
    scores = loss.row_scores(outputs, labels, classes)
    mean = ordered_sum(scores[0] * shares)
    row_targets = RowTargets(labels, counts.expand(labels.shape), classes)
    loss_shares, loss_outputs = shares, outputs
    if rows.class_weights is not None:
        loss_shares = _normalized(counts * rows.class_weights)
        loss_outputs = _predicted(stack, _normalized(trained * rows.class_weights))
    losses = loss.loss(loss_outputs, labels, None)
    return {
        "loss": ordered_sum(losses * loss_shares),
        **loss.metrics(mean, mean, rows.targets.unit),
        **loss.evaluation_metrics(scores, row_targets),
        "accuracy_random": (frequencies * shares).sum().unsqueeze(0),
    }


def _normalized(values: Tensor) -> Tensor:
    return values / values.sum()


def _predicted(stack: Stack, frequencies: Tensor) -> Tensor:
    """Return the log-probabilities of a model that predicts ``frequencies`` (C,) for a row of each class, (K, C, C)."""
    z = frequencies.log().to(torch.float32).expand(len(stack), len(frequencies), len(frequencies))
    outputs: Tensor = stack.loss.predict(z)
    return outputs


def _number_metrics(stack: Stack, data: StackData, rows: _Rows) -> dict[str, Tensor]:
    """Return the metrics (K,) of predicting the training rows' mean."""
    weights = rows.targets.train_weights
    own = None if weights is None else weights.unsqueeze(0)
    mean = weighted_mean(rows.targets.train.double().unsqueeze(0), own).to(torch.float32)
    return _metrics_of(stack, rows, mean.expand(len(rows.y)))


def _last_value_metrics(stack: Stack, data: StackData, rows: _Rows, split: str) -> dict[str, Tensor]:
    """Return the metrics (K,) of predicting the target of the row before, if rows are in order of time."""
    if split not in data.previous_y:
        return {}
    previous = data.previous_y[split]
    if data.spec.classes:
        y, weights = rows.y.unsqueeze(0), None if rows.weights is None else rows.weights.unsqueeze(0)
        scores = class_metrics(previous.unsqueeze(0), y, len(data.spec.classes), RowTargets(y, weights).units)
        metrics = {"accuracy": weighted_mean(previous == y, weights), **scores}
    else:
        metrics = _metrics_of(stack, rows, previous)
    return {f"{name}_last_value": values for name, values in metrics.items()}


def _metrics_of(stack: Stack, rows: _Rows, predicted: Tensor) -> dict[str, Tensor]:
    """Return loss and scores (K,) of the predictions (n,) for numeric targets."""
    loss, losses, scores, y = stack.loss, [], [], rows.y
    for outputs, chunk in zip(torch.split(predicted, CHUNK_ROWS), torch.split(y, CHUNK_ROWS), strict=True):
        own, theirs = outputs.expand(len(stack), -1).unsqueeze(2), chunk.expand(len(stack), -1)
        losses.append(loss.loss(own, theirs, None))
        scores.append(loss.row_scores(own, theirs, len(y)))
    columns = [torch.cat(values, 1) for values in zip(*scores, strict=True)]
    weights = None if rows.weights is None else rows.weights.expand(len(stack), -1)
    targets = RowTargets(y.expand(len(stack), -1), weights, unit=rows.targets.unit, zero=rows.targets.zero)
    statistic, spread = weighted_mean(columns[0], weights), variance(y, rows.weights)
    return {
        "loss": weighted_mean(torch.cat(losses, 1), weights),
        **loss.metrics(statistic, spread, targets.unit),
        **loss.evaluation_metrics(columns, targets),
    }
