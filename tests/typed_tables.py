"""Typed tables for tests, written as uploads are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from service.sandbox.parsing.options import ColumnType, Format, Limits, Options, Reading
from service.sandbox.parsing.tables.columns import Column, Table
from service.sandbox.parsing.tables.datasets import write_dataset
from service.sandbox.parsing.tables.reading import read_table
from worker.spec.datasets.uploaded import Content, Uploaded, file_name
from worker.spec.tables.columns import Columns
from worker.spec.tables.files import read_header, schema_of

LIMITS = Limits(memory_bytes=2**30, dataset_bytes=2**28, seconds=60)


def number(name: str, values: Any) -> Column:
    return Column(name=name, type="number", values=np.asarray(values, np.float64))


def date(name: str, days: Any, *, has_time: bool = False) -> Column:
    return Column(name=name, type="date", values=np.asarray(days, np.float64) * 86_400, has_time=has_time)


def category(name: str, texts: Any, kind: ColumnType = "category") -> Column:
    """Return a column of texts; None is missing."""
    levels = sorted({text for text in texts if text is not None})
    codes = [-1 if text is None else levels.index(text) for text in texts]
    return Column(name=name, type=kind, values=np.array(codes, np.int32), levels=tuple(levels))


def stored(home: Path, columns: list[Column], columns_spec: Columns | None = None, **options: Any) -> Uploaded:
    """Write a table below ``home``, and return it as the dataset of a spec."""
    dataset, _ = stored_with_report(home, columns, columns_spec, **options)
    return dataset


def stored_with_report(
    home: Path, columns: list[Column], columns_spec: Columns | None = None, **options: Any
) -> tuple[Uploaded, dict[str, Any]]:
    """Write a table below ``home``; return the dataset of a spec, and the parser's report."""
    folder = home / "uploads"
    folder.mkdir(exist_ok=True)
    new = folder / "new"
    report = write_dataset(Table(format="csv", columns=columns), new, Options(**options), LIMITS)
    file = new.replace(folder / file_name(report["sha256"]))
    dataset = Uploaded(id=f"dataset_{report['sha256']}", columns=columns_spec)
    schema, preparation = schema_of(read_header(file)), dataset.preparation
    content = Content.model_validate_json(
        json.dumps({**report["content"], "shape": [len(preparation.features(schema))]})
    )
    return dataset.resolved(content.model_copy(update={"embedded": preparation.embedded(schema)})), report


def uploaded(home: Path, content: bytes, *, form: Format = "csv", fields: Any = None, **options: Any) -> Uploaded:
    """Upload a file below ``home``; return the dataset with these fields."""
    body = home / "body"
    body.write_bytes(content)
    table = read_table(body, form, Reading(Options(**options), LIMITS))
    dataset = stored(home, list(table.columns), **options)
    return Uploaded(id=dataset.id, **(fields or {})).resolved(dataset.known)
