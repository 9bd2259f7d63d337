"""Rows to predict: arrays, data frames and dicts as JSON values, and files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PARQUET = "application/vnd.apache.parquet"
FILE_TYPES = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".parquet": PARQUET,
    ".arrow": "application/vnd.apache.arrow.file",
    ".feather": "application/vnd.apache.arrow.file",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".arff": "text/x-arff",
}
"""Content types by suffix; for other files the server looks at the first bytes."""
CHUNK_BYTES = 2**20


def file_type(path: str | os.PathLike[str]) -> str:
    """Return the Content-Type of a file."""
    return FILE_TYPES.get(Path(path).suffix.lower(), "application/octet-stream")


def file_chunks(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the file in chunks."""
    with Path(path).open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            yield chunk


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
