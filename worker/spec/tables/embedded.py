"""Columns of a table whose features a model replaces by a trained vector."""

from __future__ import annotations

from pydantic import Field

from worker.spec.part import Spec


class EmbeddedColumn(Spec):
    """The place of a column's features among all features of a row, and the length of the vector in their place."""

    begin: int = Field(ge=0, description="Position of the column's first feature.")
    features: int = Field(ge=1, description="Number of its features: one for each category.")
    width: int = Field(ge=1, description="Length of a category's vector.")

    @property
    def end(self) -> int:
        """Position after the column's last feature."""
        return self.begin + self.features
