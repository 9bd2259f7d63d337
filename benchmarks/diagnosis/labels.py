"""The rule that labels a curve. It sees the truth, which the diagnosis does not.

The truth is a curve without noise: the formula of a simulated one, or the mean test loss of eight real runs; and how it
continues over as many epochs again. The thresholds are round numbers, chosen before any verdict was computed. Curves
between them (a rise of 2 to 5 %, say) have no label and are left out of the set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
CLEAR, NONE = 0.05, 0.02
"""A change of the loss by this share is clear, or is none."""
LITTLE_LEARNED, LEARNED = 0.5, 0.03
"""Shares of guessing: a training loss above the one is high; below the other, nothing is left to learn."""
USEFUL = 0.9
"""A model whose loss never falls below this share of guessing does not generalize."""


@dataclass(frozen=True)
class Truth:
    """The truth behind a curve, and its guessing."""

    train: float
    """Training loss at the end."""
    held_out: Floats
    """Loss on rows that were not trained on, epoch by epoch."""
    longer: Floats
    """The same over as many epochs again."""
    guessing: float
    train_guessing: float
    perfect: bool = False
    """Whether the model classifies every training row correctly."""
    diverged: bool = False
    simpler: bool = False
    """Whether later epochs are simpler models (nearest neighbors)."""


def label(truth: Truth) -> str | None:
    """Return the expected verdict; None if the truth is between two verdicts."""
    if truth.diverged:
        return "diverged"
    low, end, later = float(truth.held_out.min()), float(truth.held_out[-1]), float(truth.longer.min())
    memorized = truth.train < LITTLE_LEARNED * truth.train_guessing
    if low >= USEFUL * truth.guessing:
        useless = "worse_than_guessing" if min(low, later) >= (1 - NONE) * truth.guessing else None
        return "memorizes" if memorized else useless
    if end > (1 + CLEAR) * low:
        return "underfits" if truth.simpler else "overfits"
    learned = truth.perfect or truth.train < LEARNED * truth.train_guessing
    if later < (1 - CLEAR) * end and not learned:
        return "overfits" if truth.simpler else "underfits"
    settled = end <= (1 + NONE) * low and (later >= (1 - NONE) * end or learned)
    in_between = not settled or end >= USEFUL * truth.guessing
    return None if in_between else "fits" if memorized else "undecided"
