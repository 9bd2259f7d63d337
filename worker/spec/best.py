"""Which epoch of a run is its best: the lowest val.loss, or without a validation split the lowest test.loss."""

from __future__ import annotations

from collections.abc import Container
from typing import Literal


def judged_by(series: Container[str]) -> Literal["val.loss", "test.loss"]:
    """The loss that decides, given the series that there are."""
    return "val.loss" if "val.loss" in series else "test.loss"
