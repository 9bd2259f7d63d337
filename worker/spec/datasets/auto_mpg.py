"""Fuel consumption of cars: a small regression table with a category and missing values.

``files/auto_mpg.csv`` as uploaded with the target ``mpg``; the cars' names are not an input.

Reference: Quinlan, 1993, "Combining instance-based and model-based learning".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.tables.bundled import BundledTable


class AutoMPG(BundledTable):
    """318 training and 80 test cars of 1970 to 1982: miles per gallon from origin, year and five properties."""

    reference: ClassVar[str] = "Quinlan 1993, Combining instance-based and model-based learning"
    rows: ClassVar[tuple[int, int]] = (318, 80)

    kind: Literal["auto_mpg"] = "auto_mpg"
    validation_size: int = Field(default=63, ge=0, description="Rows held out of the training part for validation.")
