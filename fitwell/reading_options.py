"""Options for reading a data file, in the forms of query parameters and of JSON bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

Format = Literal["npz", "csv", "parquet", "zip", "arrow", "xlsx", "arff", "npy"]
ColumnType = Literal["number", "category", "boolean", "date", "text", "id"]
FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".npz": "npz",
    ".npy": "npy",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".xlsx": "xlsx",
    ".arff": "arff",
}
"""Formats by the end of the file's name. A zip file may hold images, arrays or a table, so the server looks into it."""


class UploadOptions(TypedDict, total=False):
    """How to read a file; the server detects omitted options and reports them in ``notes``."""

    format: Format
    target: str
    drop: Sequence[str]
    header: bool
    delimiter: str
    decimal: Literal[".", ","]
    encoding: str
    missing: Sequence[str]
    types: Mapping[str, ColumnType]
    sheet: str
    member: str
    task: Literal["classification", "regression"]
    test_size: float
    order: Literal["random", "time"]
    seed: int
    split: str
    group: str
    time: str
    weight: str
    lags: int
    horizon: int
    rolling: Sequence[int]
    grey: bool
    size: int | tuple[int, int] | str
    center_crop: bool
    classes: Sequence[str]
    arrays: Mapping[str, str]


class OptionChanges(TypedDict, total=False):
    """Changed options of a dataset; None restores a default, and omitted options stay."""

    format: Format | None
    target: str | None
    drop: Sequence[str] | None
    header: bool | None
    delimiter: str | None
    decimal: Literal[".", ","] | None
    encoding: str | None
    missing: Sequence[str] | None
    types: Mapping[str, ColumnType | None] | None
    sheet: str | None
    member: str | None
    task: Literal["classification", "regression"] | None
    test_size: float | None
    order: Literal["random", "time"] | None
    seed: int | None
    split: str | None
    group: str | None
    time: str | None
    weight: str | None
    lags: int | None
    horizon: int | None
    rolling: Sequence[int] | None
    grey: bool | None
    size: int | tuple[int, int] | str | None
    center_crop: bool | None
    classes: Sequence[str] | None
    arrays: Mapping[str, str | None] | None


def query(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as query parameters: mappings as ``key=value``, sizes as ``HEIGHTxWIDTH``."""
    return {name: _parameter(name, value) for name, value in options.items()}


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return [f"{key}={item}" for key, item in value.items()]
    if name == "size" and not isinstance(value, str):
        return "x".join(map(str, [value] if isinstance(value, int) else value))
    return list(value) if isinstance(value, list | tuple) else value


def body(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as a JSON body."""
    return {name: _json(name, value) for name, value in options.items()}


def _json(name: str, value: Any) -> Any:
    if name == "size" and isinstance(value, str) and all(map(str.isdecimal, value.split("x"))):
        value = [int(part) for part in value.split("x")]
    if name == "size" and value is not None and not isinstance(value, str):
        sides = [value] if isinstance(value, int) else list(value)
        return sides * 2 if len(sides) == 1 else sides
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
