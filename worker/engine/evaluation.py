"""Losses and accuracies in evaluation mode, for all runs of a stack at once."""

from __future__ import annotations

import torch
from torch import Tensor

from worker.engine.data import Split
from worker.engine.modes import EvaluationMode
from worker.engine.stack import Stack
from worker.spec.sums import ordered_mean, ordered_sum

CHUNK_ROWS = 500
"""Rows in a forward pass; fixed, since a GEMM's bits may depend on its height."""


def log_probabilities(stack: Stack, split: Split, mode: EvaluationMode) -> Tensor:
    """Log-probabilities (K, N, classes) of a few rows."""
    x = mode.inputs(split.x.expand(len(stack), *split.x.shape))
    return torch.log_softmax(stack.network.forward(x, mode), 2)


def evaluate(stack: Stack, split: Split) -> tuple[Tensor, Tensor]:
    """Mean loss and accuracy of each run on ``split``, two tensors (K,) of float64."""
    losses, hits, mode = [], [], EvaluationMode(stack)
    for x, y in zip(torch.split(split.x, CHUNK_ROWS), torch.split(split.y, CHUNK_ROWS), strict=True):
        log_p = log_probabilities(stack, Split(x, y), mode)
        wanted = y.expand(len(stack), -1)
        losses.append(-log_p.gather(2, wanted.unsqueeze(2)).squeeze(2))
        hits.append(log_p.argmax(2) == wanted)
    return ordered_mean(torch.cat(losses, 1)), torch.cat(hits, 1).sum(1).double() / len(split.y)


def confusion(stack: Stack, split: Split, classes: int) -> Tensor:
    """How often rows of each true class (second dimension) are given each class (third): (K, C, C), int64."""
    counts = torch.zeros((len(stack), classes * classes), dtype=torch.int64, device=stack.device)
    mode = EvaluationMode(stack)
    for x, y in zip(torch.split(split.x, CHUNK_ROWS), torch.split(split.y, CHUNK_ROWS), strict=True):
        cell = log_probabilities(stack, Split(x, y), mode).argmax(2) + y * classes
        counts.scatter_add_(1, cell, torch.ones_like(cell))
    return counts.view(-1, classes, classes)


def weights_of(stack: Stack) -> tuple[Tensor, Tensor]:
    """Of each run's weight matrices together: their norm, and the share that is exactly zero; (K,) each of float64."""
    squares = [ordered_sum(w.square().flatten(1)) for w, _ in stack.matrices]
    zeros = [(w == 0).flatten(1).sum(1) for w, _ in stack.matrices]
    count = sum(w[0].numel() for w, _ in stack.matrices)
    return torch.stack(squares).sum(0).sqrt(), torch.stack(zeros).sum(0).double() / count
