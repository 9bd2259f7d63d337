"""Calibration: whether events to which a model gives the probability p occur in a share p of the cases.

    brier = mean over rows of Σ_c (p_c − t_c)²                    (t is one at the label; from 0 to 2)
    ece   = Σ_b n_b/n · |accuracy_b − confidence_b|               (from 0 to 1)

The *confidence* of a row is its largest probability. The expected calibration error (``ece``) compares, in each of
``BINS`` bins of equal width, the rows' mean confidence with the share whose most probable class is theirs. Bin b has
the confidences in (b/15, (b + 1)/15].

The Brier score is a proper scoring rule: its expectation is lowest for the true probabilities. The ECE is not: a
constant prediction of the class frequencies is nearly calibrated and useless. It is also biased upwards, because it
adds absolute values of noisy means: on n rows with confidence p, a perfectly calibrated model has an expected ECE of
about √(2/π · p(1 − p)/n), and more with several bins. So compare ECEs only on equally many rows.

Sums over rows are integers (fixed point), which are exact in any order: their bits depend on neither the runs of a
stack nor the number of threads or the kind of device.

Reference: Brier, 1950, "Verification of forecasts expressed in terms of probability"; Guo, Pleiss, Sun and Weinberger,
2017, "On calibration of modern neural networks" (ECE); Kumar, Liang and Ma, 2019, "Verified uncertainty calibration"
and Roelofs et al., 2022, "Mitigating bias in calibration error estimation" (its bias).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from worker.spec.sums import ordered_sum, summed

if TYPE_CHECKING:
    from torch import Tensor

BINS = 15
NAMES = ("brier", "ece")
FRACTION_BITS = 32
"""Of numbers in fixed point. The sums of up to 2³⁰ rows fit into 64 bits."""
ONE = 1 << FRACTION_BITS


def row_scores(log_p: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Brier score and the confidence of each row, (K, N) each, for log-probabilities (K, N, classes)."""
    p, label = log_p.exp().transpose(1, 2).contiguous(), y.unsqueeze(1)  # classes first: reductions are faster
    confidence = p.amax(1)
    p.scatter_(1, label, p.gather(1, label).sub_(1))
    return summed(p.square_(), 1).squeeze(1), confidence


def tally(brier: Tensor, confidence: Tensor, hit: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return sums over rows, (K, 2 + BINS): Brier scores, undefined rows, and hits − confidence by bin.

    ``brier``, ``confidence`` and ``hit`` (1 or 0) are (K, N). Sums are int64, or float64 with ``weights`` (K, N).
    """
    import torch

    certainty = confidence.double().mul_(ONE).long()
    place = certainty.mul(BINS).sub_(1).bitwise_right_shift_(FRACTION_BITS).clamp_(0, BINS - 1)
    score, gap = brier.double().mul_(ONE).long(), hit.long().mul_(ONE).sub_(certainty)
    undefined = brier.isnan().sum(1)
    if weights is not None:
        gaps = [ordered_sum(gap * weights * (place == b)) for b in range(BINS)]
        return torch.stack([ordered_sum(score * weights), undefined.double(), *gaps], 1)
    sums = torch.zeros((len(brier), 2 + BINS), dtype=torch.int64, device=brier.device)
    sums[:, 0] = score.sum(1)
    sums[:, 1] = undefined
    sums[:, 2:].scatter_add_(1, place, gap)
    return sums


def metrics(sums: Tensor, rows: int | Tensor) -> Mapping[str, Tensor]:
    """Return ``brier`` and ``ece`` (K,) float64 of the sums (K, 2 + BINS) over ``rows`` rows; NaN if a row is.

    With weights, ``rows`` is their sum (K,).
    """
    values = {"brier": sums[:, 0].double(), "ece": ordered_sum(sums[:, 2:].abs())}
    return {name: (total / (ONE * rows)).masked_fill(sums[:, 1] > 0, math.nan) for name, total in values.items()}
