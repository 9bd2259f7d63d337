"""The metric of the best epoch: the lowest val.loss, or test.loss without a validation split."""

from __future__ import annotations

from collections.abc import Container
from typing import Literal


def judged_by(series: Container[str]) -> Literal["val.loss", "test.loss"]:
    """Return the loss that selects the best epoch, from the recorded series."""
    return "val.loss" if "val.loss" in series else "test.loss"
