"""Preparations: how the columns of one type become features of a model.

A preparation is fitted on the training rows of a run only. The number and names of its features follow from the
schema, so that the model's size does not depend on the split.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from worker.spec.part import Part
from worker.spec.tables.schema import Column, ColumnType

if TYPE_CHECKING:
    import numpy as np

    from worker.spec.graph import Graph, Value

    Values = np.ndarray[Any, Any]
    State = Mapping[str, Values]
    """The fitted figures by name, float64 arrays."""


class Preparation(Part):
    """How a column becomes features."""

    column_type: ClassVar[ColumnType]
    """The type of the columns that this part prepares."""

    def features(self, column: Column) -> tuple[str, ...]:
        """Return the names of the features of ``column``, F."""
        raise NotImplementedError

    def vector_width(self, column: Column) -> int | None:
        """Return the length of the trained vector by which a model replaces the features; None if it uses them."""
        return None

    def fit(self, column: Column, values: Values) -> State:
        """Return the figures that the training rows' ``values`` (n,) of ``column`` give."""
        raise NotImplementedError

    def transform(self, column: Column, state: State, values: Values) -> Values:
        """Return the features (n, F) of ``values`` (n,), float64 and finite."""
        raise NotImplementedError

    def onnx(self, graph: Graph, column: Column, state: State, values: Value) -> Value:
        """Add the features (rows, F) of ``values`` (rows, 1) to a graph: float32.

        Numbers come as double and dates as double seconds, NaN if missing; texts as strings, empty if missing.
        """
        raise NotImplementedError


def missing_feature(column: Column) -> tuple[str, ...]:
    """Return the name of the feature that marks missing values."""
    return (f"{column.name} is missing",)
