"""Losses, and what scores are made of, in evaluation mode, for all runs of a stack at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from worker.engine.hooks import EvaluationHooks
from worker.engine.rows import EvaluationRows, InputRows
from worker.engine.stack import Stack
from worker.spec.families.model import CHUNK_ROWS
from worker.spec.sums import ordered_sum, weighted_mean


def predictions(stack: Stack, split: InputRows, hooks: EvaluationHooks) -> Tensor:
    """Return the models' outputs for a few rows, (K, N, outputs): log-probabilities of classes, or numbers."""
    x = hooks.inputs(split.x if split.y.dim() == 2 else split.x.expand(len(stack), *split.x.shape))
    outputs: Tensor = stack.loss.predict(stack.network.forward(x, hooks))
    return outputs


class Evaluation(NamedTuple):
    """Mean loss and mean statistic of each run, (K,) float64, and its rows' targets (K, n) and scores (K, n, …)."""

    loss: Tensor
    statistic: Tensor
    y: Tensor
    scores: tuple[Tensor, ...]
    weights: Tensor | None
    """How many rows each row counts as, (K, n); None: each as one."""


def evaluate(stack: Stack, rows: EvaluationRows, class_weights: Tensor | None = None) -> Evaluation:
    """Evaluate each run on its ``rows``. ``class_weights`` (K, C) or (1, C) weight the mean loss, but no score."""
    losses, labels, scores, hooks, loss = [], [], [], EvaluationHooks(stack), stack.loss
    row_weights: list[Tensor] = []
    for chunk in rows.chunks(stack.members, CHUNK_ROWS):
        outputs, targets = predictions(stack, chunk, hooks), chunk.y.expand(len(stack), -1)
        losses.append(loss.loss(outputs, targets, None))
        labels.append(targets)
        scores.append(loss.row_scores(outputs, targets, rows.size))
        if chunk.weights is not None:
            row_weights.append(chunk.weights.expand(len(stack), -1))
    columns = tuple(torch.cat(values, 1) for values in zip(*scores, strict=True))
    y, weights = torch.cat(labels, 1), torch.cat(row_weights, 1) if row_weights else None
    mean_loss = weighted_mean(torch.cat(losses, 1), loss_weights(y, weights, class_weights))
    return Evaluation(mean_loss, weighted_mean(columns[0], weights), y, columns, weights)


def loss_weights(y: Tensor, weights: Tensor | None, class_weights: Tensor | None) -> Tensor | None:
    """Return the weights of rows in a mean loss (K, n), given their labels, weights and the weights of classes."""
    if class_weights is None:
        return weights
    own = class_weights.expand(len(y), -1).gather(1, y)
    return own if weights is None else own * weights


def variance(y: Tensor, weights: Tensor | None = None) -> Tensor:
    """The variance about their mean of targets ``y`` (n,), (1,), or of each split's (S, n), (S,); float64.

    ``weights`` have the shape of ``y``.
    """
    rows = y.double().view(-1, y.shape[-1])
    counts = None if weights is None else weights.view(rows.shape)
    return weighted_mean((rows - weighted_mean(rows, counts).unsqueeze(1)).square(), counts)


def confusion(stack: Stack, rows: EvaluationRows, classes: int) -> Tensor:
    """How often rows of each true class (second dimension) are given each class (third): (K, C, C), int64."""
    counts = torch.zeros((len(stack), classes * classes), dtype=torch.int64, device=stack.device)
    hooks = EvaluationHooks(stack)
    for chunk in rows.chunks(stack.members, CHUNK_ROWS):
        cell = predictions(stack, chunk, hooks).argmax(2) + chunk.y * classes
        counts.scatter_add_(1, cell, torch.ones_like(cell))
    return counts.view(-1, classes, classes)


def weights_of(stack: Stack) -> tuple[Tensor, Tensor]:
    """Of each run's weight matrices together: their norm, and the share that is exactly zero; (K,) each of float64."""
    squares = torch.stack([ordered_sum(w.square().flatten(1)) for w, _ in stack.matrices], 1)
    zeros = torch.stack([(w == 0).flatten(1).sum(1) for w, _ in stack.matrices], 1)
    count = sum(w[0].numel() for w, _ in stack.matrices)
    return ordered_sum(squares).sqrt(), zeros.sum(1).double() / count


def recovery(w: Tensor, known: Tensor) -> dict[str, Tensor]:
    """How near the weights ``w`` (K, 1, D) of a linear model are to the true coefficients ``known`` (D,); (K,) each.

    The distance relative to the truth's norm, and of the inputs that have a coefficient, and of those that have none,
    the share whose weight is not exactly zero (true and false positive rate of the support).
    """
    learned, chosen = w.squeeze(1).double(), w.squeeze(1) != 0
    distance = ordered_sum((learned - known).square()).sqrt()
    metrics = {"coefficients.error": distance / ordered_sum(known.square().unsqueeze(0)).sqrt()}
    for name, inputs in (("support.tpr", known != 0), ("support.fpr", known == 0)):
        if inputs.any():
            metrics[name] = chosen[:, inputs].sum(1).double() / inputs.sum()
    return metrics
