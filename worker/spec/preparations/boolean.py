"""Booleans: 0 or 1; missing values are replaced by the training rows' share of true.

    z = 1 if x, else 0;    z = mean(x) where x is missing

Reference: Little and Rubin, 2019, "Statistical analysis with missing data", section 4.2 (mean imputation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.preparation import Preparation, missing_feature
from worker.spec.tables.rows import MISSING
from worker.spec.tables.schema import Column, ColumnType

if TYPE_CHECKING:
    import numpy as np

    from worker.spec.families.preparation import State
    from worker.spec.graph import Graph, Value

    Values = np.ndarray[Any, Any]

BOOLEAN_LEVELS = ("false", "true")
UNKNOWN_SHARE = 0.5
"""Share of true if no training row has a value."""


class Boolean(Preparation):
    """A column of false and true as 0 and 1."""

    equation: ClassVar[str] = "z = 1 if x, else 0"
    reference: ClassVar[str] = "Little and Rubin 2019, Statistical analysis with missing data"
    column_type: ClassVar[ColumnType] = "boolean"

    kind: Literal["boolean"] = "boolean"
    indicator: bool = Field(
        default=True, description="Add a feature that is 1 where the value is missing, if training data lack values."
    )

    def features(self, column: Column) -> tuple[str, ...]:
        """The value, and whether it is missing."""
        marked = self.indicator and column.missing
        return (column.name, *(missing_feature(column) if marked else ()))

    def fit(self, column: Column, values: Values) -> State:
        """The share of true."""
        import numpy as np

        observed = values[values >= 0]
        return {"fill": np.array([observed.mean() if len(observed) else UNKNOWN_SHARE])}

    def transform(self, column: Column, state: State, values: Values) -> Values:
        """0, 1 or the share, and whether the value is missing."""
        import numpy as np

        absent = values < 0
        x = np.where(absent, state["fill"], values)
        marked = len(self.features(column)) > 1
        return np.stack([x, absent.astype(np.float64)] if marked else [x], 1)

    def onnx(self, graph: Graph, column: Column, state: State, values: Value) -> Value:
        """The same of the texts "true" and "false"; other texts are missing."""
        code = graph.code_of(values, {text: i for i, text in enumerate(BOOLEAN_LEVELS)}, MISSING)
        absent = graph.node("Less", code, graph.integers([0]))
        x = graph.node("Where", absent, graph.doubles(state["fill"]), graph.as_double(code))
        marked = len(self.features(column)) > 1
        return graph.features(graph.rounded_to_float(x), *([graph.as_float(absent)] if marked else []))
