"""Rows to predict as JSON values: from arrays, data frames and dicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def prediction_rows(inputs: Any) -> Any:
    """Return rows as JSON values: of a data frame, dicts by column; dates as ISO texts, NaN as None."""
    if hasattr(inputs, "to_dicts"):  # polars
        inputs = inputs.to_dicts()
    elif hasattr(inputs, "columns") and hasattr(inputs, "to_dict"):  # pandas
        inputs = inputs.astype(object).where(inputs.notna(), None).to_dict("records")
    elif hasattr(inputs, "tolist"):
        return inputs.tolist()
    if isinstance(inputs, list | tuple) and any(isinstance(row, Mapping) for row in inputs):
        return [
            {str(name): _value(value) for name, value in row.items()} if isinstance(row, Mapping) else row
            for row in inputs
        ]
    return inputs


def _value(value: Any) -> Any:
    """Return a cell as a JSON value."""
    if hasattr(value, "isoformat"):  # a date
        return value.isoformat()
    if hasattr(value, "item"):  # NumPy
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
