"""Scores of predicted classes that do not depend on how frequent the classes are, and the ranking by probability.

    balanced_accuracy = mean over classes c of  TP_c / n_c              (the recall; n_c rows are of class c)
    f1                = mean over classes c of  2·TP_c / (n_c + m_c)    (m_c rows are predicted to be of class c)
    auc               = P(s_i > s_j) + P(s_i = s_j)/2                   (row i is of the class, row j is not)

``balanced_accuracy`` leaves out classes without rows, ``f1`` classes that have neither rows nor predictions. ``auc``
is the area under the receiver operating characteristic. Of two classes it ranks rows by the log-odds of the second
one. Of several it is the mean over those that have rows (one against the rest), each ranked by its log-probability.
It is undefined if all rows are of one class, and is not computed for more than ``MAX_RANKED`` rows × classes, which
would take too much memory.

All three equal scikit-learn's ``balanced_accuracy_score``, ``f1_score(average="macro")`` and
``roc_auc_score(multi_class="ovr")``. Sums over rows are integers, which are exact in any order.

Reference: Brodersen, Ong, Stephan and Buhmann, 2010, "The balanced accuracy and its posterior distribution"; van
Rijsbergen, 1979, "Information retrieval" (F); Hanley and McNeil, 1982, "The meaning and use of the area under a
receiver operating characteristic curve"; Provost and Domingos, 2000, "Well-trained PETs" (one against the rest).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from worker.spec.sums import ordered_sum

if TYPE_CHECKING:
    from torch import Tensor

NAMES = ("balanced_accuracy", "f1", "auc")
MAX_RANKED = 4_000_000
"""Rows × classes of one run that are ranked; two classes need one ranking."""
BLOCK = 1 << 20
"""Scores that are sorted together."""


def ranking(log_p: Tensor, rows: int) -> Tensor:
    """Return what rows are ranked by, (K, N, rankings), given log-probabilities (K, N, C) of N of ``rows`` rows.

    It has no rankings if there are too many rows.
    """
    classes = log_p.shape[2]
    rankings = 1 if classes == 2 else classes
    if rows * rankings > MAX_RANKED:
        return log_p[..., :0]
    return log_p[..., 1:] - log_p[..., :1] if classes == 2 else log_p


def class_metrics(predicted: Tensor, y: Tensor, classes: int, units: Tensor | None = None) -> Mapping[str, Tensor]:
    """Return ``balanced_accuracy`` and ``f1`` (K,) of predicted classes (K, N) for labels y (K, N).

    ``units`` (K, N) int64 are the rows' weights.
    """
    import torch

    def rows_by_class(labels: Tensor, weights: Tensor) -> Tensor:
        counts = torch.zeros((len(y), classes), dtype=torch.int64, device=y.device)
        return counts.scatter_add_(1, labels, weights).double()

    one = torch.ones_like(y) if units is None else units
    true, positive = rows_by_class(y, one), rows_by_class(predicted, one)
    hits = rows_by_class(y, one * (predicted == y))
    return {
        "balanced_accuracy": _mean_where(true > 0, hits / true),
        "f1": _mean_where(true + positive > 0, 2 * hits / (true + positive)),
    }


def auc(scores: Tensor, y: Tensor, classes: int, units: Tensor | None = None) -> Tensor:
    """Return the area under the curve (K,), given the ``ranking`` (K, N, rankings) of rows with labels y (K, N)."""
    import torch

    runs, rows, rankings = scores.shape
    if rankings == 0:
        return torch.full((runs,), math.nan, dtype=torch.float64, device=y.device)
    positives = torch.arange(classes - rankings, classes, device=y.device).view(1, -1, 1)
    step, areas = max(1, BLOCK // (rows * rankings)), []
    for first in range(0, runs, step):
        block = slice(first, first + step)
        positive = y[block].unsqueeze(1) == positives
        keys = _keys(scores[block].transpose(1, 2), positive)
        areas.append(_areas(keys, positive) if units is None else _weighted_areas(keys, positive, units[block]))
    area = torch.cat(areas)
    return _mean_where(area.isfinite(), area)


def _keys(scores: Tensor, positive: Tensor) -> Tensor:
    """Return integers that order the float32 ``scores`` and, of equal ones, put the negative rows first.

    Their lowest bit is 1 for positive rows. Log-probabilities need no sign, so their integers have 32 bits.
    """
    import torch

    if positive.shape[1] > 1:
        bits = scores.contiguous().view(torch.int32) << 1
        return bits.bitwise_or_(~positive).bitwise_xor_(0x7FFFFFFF)
    bits = scores.add(0.0).view(torch.int32)  # −0 + 0 is +0, which equals it
    return bits.bitwise_xor_(bits.bitwise_right_shift(31).bitwise_and_(0x7FFFFFFF)).long().mul_(2).add_(positive)


def _areas(keys: Tensor, positive: Tensor) -> Tensor:
    """Return the area under each curve (K, rankings), not finite without rows of both kinds.

    The sum over positive rows of their ranks, minus its lowest possible value, counts the pairs that are in order. A
    tie counts half: it is in order with negative rows first, and not with positive rows first.
    """
    import torch

    rows, count, ordered = keys.shape[2], positive.sum(2), _sorted(keys)
    rank = torch.arange(rows, dtype=torch.float64, device=keys.device)
    ranks = (ordered & 1).double() @ rank  # integers below 2⁵³, exact in any order
    tied, other = (ordered[..., 1:] ^ ordered[..., :-1] == 1).any(2), ranks.clone()
    if bool(tied.any()):
        other[tied] = (~_sorted(ordered[tied] ^ 1) & 1).double() @ rank
    return (ranks + other - count * (count - 1)) / (2 * count * (rows - count))


def _weighted_areas(keys: Tensor, positive: Tensor, units: Tensor) -> Tensor:
    """Return the same if each row counts as ``units`` (K, N) rows."""
    import torch

    weights = units.unsqueeze(1).expand(keys.shape)
    total = weights.sum(2).double()
    in_order = torch.zeros_like(total)
    for flip in (0, 1):  # negative rows first, then positive rows first
        order = (keys ^ flip).sort(dim=2, stable=True).indices
        sorted_weights, sorted_positive = weights.gather(2, order), positive.gather(2, order)
        before = (sorted_weights.cumsum(2) - sorted_weights).double()
        products = (sorted_weights * sorted_positive).double() * before
        in_order += ordered_sum(products.flatten(0, 1)).view(total.shape)
    own = (weights * positive).double()
    count, squares = own.sum(2), ordered_sum(own.square().flatten(0, 1)).view(total.shape)
    return (in_order - (count.square() - squares)) / (2 * count * (total - count))


def _sorted(keys: Tensor) -> Tensor:
    """Return ``keys`` sorted along the last dimension. NumPy's sort has vector instructions, torch's has none."""
    import numpy as np
    import torch

    if keys.device.type != "cpu":
        return keys.sort().values
    return torch.from_numpy(np.sort(keys.numpy()))


def _mean_where(counts: Tensor, values: Tensor) -> Tensor:
    """Return the mean (K,) of ``values`` (K, n) where ``counts``; not a number if it is nowhere."""
    return ordered_sum(values.masked_fill(~counts, 0.0)) / counts.sum(1)
