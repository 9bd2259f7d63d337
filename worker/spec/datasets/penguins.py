"""Penguins of three species near Palmer Station: a small table of numbers and categories with missing values.

``files/penguins.csv`` as uploaded with the target ``species``.

Reference: Gorman, Williams and Fraser, 2014, "Ecological sexual dimorphism and environmental variability within a
community of Antarctic penguins (genus Pygoscelis)".
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.tables.bundled import BundledTable


class Penguins(BundledTable):
    """275 training and 69 test penguins: the species from island, sex, year and four measurements, some missing."""

    reference: ClassVar[str] = (
        "Gorman, Williams and Fraser 2014, Ecological sexual dimorphism and environmental variability within a "
        "community of Antarctic penguins"
    )
    classes: ClassVar[tuple[str, ...]] = ("Adelie", "Chinstrap", "Gentoo")
    rows: ClassVar[tuple[int, int]] = (275, 69)

    kind: Literal["penguins"] = "penguins"
    validation_size: int = Field(default=55, ge=0, description="Rows held out of the training part for validation.")
