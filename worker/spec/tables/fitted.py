"""A preparation fitted on the training rows of a run: from rows of a table to the inputs of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.spec.tables.columns import Columns
from worker.spec.tables.rows import TableRows
from worker.spec.tables.schema import TableSchema

if TYPE_CHECKING:
    import numpy as np

    from worker.spec.families.preparation import State

CHUNK_ROWS = 65_536
"""Rows that are prepared at once, to limit memory."""


@dataclass(frozen=True)
class Fitted:
    """The columns of a table, how they are prepared, and the figures of the training rows by column."""

    schema: TableSchema
    columns: Columns
    states: Mapping[str, State]

    @classmethod
    def on(cls, columns: Columns, rows: TableRows) -> Fitted:
        """Return the preparation, fitted on the training ``rows``."""
        states = {
            column.name: columns.of(column).fit(column, rows.values(column.name))
            for column in columns.used(rows.schema)
        }
        return cls(rows.schema, columns, states)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, (D,)."""
        return self.columns.features(self.schema)

    def transform(self, rows: TableRows) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the inputs of a model, (n, D) float32; values beyond float32 are cut to its range."""
        import numpy as np

        x = np.empty((len(rows), len(self.features)), np.float32)
        largest = float(np.finfo(np.float32).max)
        for first in range(0, len(rows), CHUNK_ROWS):
            chunk = rows.take(np.arange(first, min(first + CHUNK_ROWS, len(rows))))
            at = 0
            for column in self.columns.used(self.schema):
                part = self.columns.of(column).transform(column, self.states[column.name], chunk.values(column.name))
                x[first : first + len(chunk), at : at + part.shape[1]] = np.clip(part, -largest, largest)
                at += part.shape[1]
        return x

    def as_json(self) -> dict[str, Any]:
        """Return the preparation as JSON values, exactly."""
        return {
            "schema": self.schema.model_dump(mode="json"),
            "columns": self.columns.model_dump(mode="json"),
            "states": {
                name: {figure: values.tolist() for figure, values in state.items()}
                for name, state in self.states.items()
            },
        }

    @classmethod
    def of(cls, text: Mapping[str, Any]) -> Fitted:
        """Return the preparation that :meth:`as_json` returned."""
        import json

        import numpy as np

        states = {
            name: {figure: np.array(values, np.float64) for figure, values in state.items()}
            for name, state in text["states"].items()
        }
        schema = TableSchema.model_validate_json(json.dumps(text["schema"]))
        return cls(schema, Columns.model_validate_json(json.dumps(text["columns"])), states)
