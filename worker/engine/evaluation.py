"""Losses and accuracies in evaluation mode, for all runs of a stack at once."""

from __future__ import annotations

import torch
from torch import Tensor

from worker.engine.data import Split
from worker.engine.reduce import ordered_mean
from worker.engine.stack import Stack

CHUNK_ROWS = 500
"""Rows in a forward pass; fixed, since a GEMM's bits may depend on its height."""

Measured = dict[str, Tensor]


def evaluate(stack: Stack, split: Split) -> tuple[Tensor, Tensor]:
    """Mean loss and accuracy of each run on ``split``, two tensors (K,) of float64."""
    losses, hits = [], []
    for x, y in zip(torch.split(split.x, CHUNK_ROWS), torch.split(split.y, CHUNK_ROWS), strict=True):
        logits = stack.network.forward(x.expand(len(stack), *x.shape))
        log_p = torch.log_softmax(logits, 2)
        wanted = y.expand(len(stack), -1)
        losses.append(-log_p.gather(2, wanted.unsqueeze(2)).squeeze(2))
        hits.append(log_p.argmax(2) == wanted)
    return ordered_mean(torch.cat(losses, 1)), torch.cat(hits, 1).sum(1).double() / len(split.y)
