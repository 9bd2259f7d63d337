"""Baselines: the metrics of predictions that ignore the inputs, on the rows that the model is evaluated on.

- Classes: every row gets the class frequencies of the training rows as its probabilities, and so their most frequent
  class as its prediction. ``accuracy_random`` is the expected accuracy of drawing each class by its frequency. A class
  that the training rows lack counts as one row, so that the loss is finite. The calibration error is near 0 if the
  classes are as frequent as among the training rows.
- Numeric targets: every row gets the mean of the training rows.
- Rows in order of time also get the last value: the target of the row before, as ``…_last_value``. For classes it has
  no loss and no other score of probabilities, because a certain prediction that is wrong has an infinite loss.

Reference: Hyndman and Koehler, 2006, "Another look at measures of forecast accuracy" (the last value as a baseline).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from worker.engine.data import StackData, Targets
from worker.engine.evaluation import CHUNK_ROWS, variance
from worker.engine.stack import Stack
from worker.spec.classification import class_metrics
from worker.spec.families.loss import RowTargets
from worker.spec.sums import ordered_mean

Baseline = Mapping[str, float | None]
"""Values by metric, such as ``val.loss``; None if they are undefined."""


def baselines_of(stack: Stack, data: StackData) -> list[Baseline]:
    """Return the baseline of each run of ``stack``."""
    by_split = [_baselines(stack, data, targets) for targets in data.targets]
    return [by_split[split][i] for i, split in enumerate(data.splits_of(stack.members).tolist())]


def _baselines(stack: Stack, data: StackData, targets: Targets) -> list[Baseline]:
    """Return the baselines of all runs of ``stack`` as if each had the split with these targets."""
    evaluated = {"train": targets.train, "val": targets.validation}
    if stack.members[0].spec.evaluate.test != "never":
        evaluated["test"] = targets.test
    columns: dict[str, Tensor] = {}
    for split, y in evaluated.items():
        if not len(y):
            continue
        of_split = _class_metrics if data.spec.classes else _number_metrics
        metrics = {**of_split(stack, data, targets, y), **_last_value_metrics(stack, data, targets, split, y)}
        columns |= {f"{split}.{name}": values.expand(len(stack)) for name, values in metrics.items()}
    lists = {name: values.tolist() for name, values in columns.items()}
    return [
        {name: values[i] if math.isfinite(values[i]) else None for name, values in lists.items()}
        for i in range(len(stack))
    ]


def _class_metrics(stack: Stack, data: StackData, targets: Targets, y: Tensor) -> dict[str, Tensor]:
    """Return the metrics (K,) of predicting the class frequencies; one row of each class is evaluated and weighted."""
    classes, loss = len(data.spec.classes), stack.loss
    trained = torch.bincount(targets.train, minlength=classes).double().clamp(min=1)
    counts = torch.bincount(y, minlength=classes)
    frequencies, shares = trained / trained.sum(), counts.double() / len(y)
    z = frequencies.log().to(torch.float32).expand(len(stack), classes, classes)
    outputs = loss.implementation.predict(loss, z)
    labels = torch.arange(classes, device=y.device).expand(len(stack), -1)
    scores = loss.implementation.row_scores(loss, outputs, labels, classes)
    losses = loss.implementation.loss(loss, outputs, labels, None)
    mean_loss, mean = ((rows.double() * shares).sum(1) for rows in (losses, scores[0]))
    rows = RowTargets(labels, counts.double().expand(labels.shape), classes)
    return {
        "loss": mean_loss,
        **loss.implementation.metrics(mean, mean, targets.unit),
        **loss.implementation.evaluation_metrics(scores, rows),
        "accuracy_random": (frequencies * shares).sum().unsqueeze(0),
    }


def _number_metrics(stack: Stack, data: StackData, targets: Targets, y: Tensor) -> dict[str, Tensor]:
    """Return the metrics (K,) of predicting the training rows' mean."""
    mean = ordered_mean(targets.train.double().unsqueeze(0)).to(torch.float32)
    return _metrics_of(stack, targets, mean.expand(len(y)), y)


def _last_value_metrics(stack: Stack, data: StackData, targets: Targets, split: str, y: Tensor) -> dict[str, Tensor]:
    """Return the metrics (K,) of predicting the target of the row before, if rows are in order of time."""
    if split not in data.previous_y:
        return {}
    previous = data.previous_y[split]
    if data.spec.classes:
        scores = class_metrics(previous.unsqueeze(0), y.unsqueeze(0), len(data.spec.classes))
        metrics = {"accuracy": (previous == y).double().mean().unsqueeze(0), **scores}
    else:
        metrics = _metrics_of(stack, targets, previous, y)
    return {f"{name}_last_value": values for name, values in metrics.items()}


def _metrics_of(stack: Stack, targets: Targets, predicted: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Return loss and scores (K,) of the predictions (n,) for numeric targets ``y`` (n,)."""
    loss, losses, scores = stack.loss, [], []
    for outputs, chunk in zip(torch.split(predicted, CHUNK_ROWS), torch.split(y, CHUNK_ROWS), strict=True):
        own, theirs = outputs.expand(len(stack), -1).unsqueeze(2), chunk.expand(len(stack), -1)
        losses.append(loss.implementation.loss(loss, own, theirs, None))
        scores.append(loss.implementation.row_scores(loss, own, theirs, len(y)))
    rows = RowTargets(y.expand(len(stack), -1), unit=targets.unit, zero=targets.zero)
    columns = [torch.cat(values, 1) for values in zip(*scores, strict=True)]
    return {
        "loss": ordered_mean(torch.cat(losses, 1)),
        **loss.implementation.metrics(ordered_mean(columns[0]), variance(y), targets.unit),
        **loss.implementation.evaluation_metrics(columns, rows),
    }
