"""Files of typed tables: safetensors with the columns' names and types in the header.

Tensors are ``train_y``, ``test_y``, ``train_numbers``, ``test_numbers`` (n, …) float64, ``train_codes``, ``test_codes``
(n, …) int32, and, where the table has them, ``train_weights`` and ``test_weights`` (n,) float64, ``train_groups`` (n,)
int64 and ``train_validates`` (n,) uint8.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.spec.families.dataset import Arrays
from worker.spec.tables.rows import TableRows
from worker.spec.tables.schema import TableSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

LAYOUT = 2
"""The layout of typed tables in the header; files of layout 1 have rows of numbers."""
LENGTH_BYTES = 8


def header_of(content: bytes) -> dict[str, Any]:
    """Return the description in the header of a dataset's file."""
    description = description_of(content)
    if not description:
        raise KeyError("the header has no description")
    return description


def description_of(content: bytes) -> dict[str, Any]:
    """Return the description in the header of a file of tensors; empty if it has none."""
    size = int.from_bytes(content[:LENGTH_BYTES], "little")
    header = json.loads(content[LENGTH_BYTES : LENGTH_BYTES + size])
    description: dict[str, Any] = json.loads(header.get("__metadata__", {}).get("fitwell", "{}"))
    return description


def read_header(path: Path) -> dict[str, Any]:
    """Return the description in the header of a dataset's file."""
    with path.open("rb") as file:
        size = file.read(LENGTH_BYTES)
        return header_of(size + file.read(int.from_bytes(size, "little")))


def schema_of(description: Mapping[str, Any]) -> TableSchema:
    """Return the schema in a header."""
    return TableSchema.model_validate_json(json.dumps({"columns": description["inputs"]}))


def arrays_of(description: Mapping[str, Any], tensors: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
    """Return the table with this header and these tensors."""
    import numpy as np

    schema = schema_of(description)
    labels = np.int64 if description["task"] == "classification" else np.float64
    train, test = (
        TableRows(schema, tensors[f"{part}_numbers"], tensors[f"{part}_codes"]) for part in ("train", "test")
    )
    validates = tensors.get("train_validates")
    return Arrays(
        np.empty((len(train), 0), np.float32),
        tensors["train_y"].astype(labels),
        np.empty((len(test), 0), np.float32),
        tensors["test_y"].astype(labels),
        tables=(train, test),
        train_groups=tensors.get("train_groups"),
        train_weights=tensors.get("train_weights"),
        test_weights=tensors.get("test_weights"),
        train_validates=None if validates is None else validates.astype(bool),
    )
