"""Classic files as people have them: each is read as pandas reads it with every option set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.classic_files.experts import EXPERTS
from benchmarks.classic_files.files import FILES, SYNTHETIC, ClassicFile
from service.sandbox.parsing.options import Limits, Options, Reading
from service.sandbox.parsing.tables.columns import Column
from service.sandbox.parsing.tables.datasets import write_dataset
from service.sandbox.parsing.tables.reading import read_table

LIMITS = Limits(memory_bytes=2**30, dataset_bytes=2**30, seconds=60)
TASKS = {
    "titanic": ("classification", 12 - 4),
    "penguins": ("classification", 8),
    "adult": ("classification", 15),
    "auto_mpg": ("regression", 9 - 1),
    "wine": ("classification", 14),
    "air_quality": ("regression", 8),
    "co2": ("regression", 2 + 12),
    "abalone": ("regression", 9),
    "bank": ("classification", 15),
    "diabetes": ("regression", 11),
}
"""The task, and the number of columns that are inputs or the target, of files whose source the tests install."""


def options_of(file: ClassicFile) -> Options:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in file.options.items()
    }
    return Options(**values)


def assert_reads_like_pandas(column: Column, theirs: pd.Series[Any]) -> None:
    if column.type == "number":
        np.testing.assert_array_equal(column.values[: len(theirs)], theirs.astype(float))
    else:
        texts = [None if code < 0 else column.levels[code] for code in column.values[: len(theirs)].tolist()]
        fold = str.lower if column.type == "boolean" else str
        assert texts == [None if pd.isna(value) else fold(str(value)) for value in theirs]


@pytest.mark.parametrize("name", TASKS)
def test_classic_file_is_read_as_its_owner_means_it(name: str, tmp_path: Path) -> None:
    file, expert = FILES[name], EXPERTS[name]
    content, options = file.content(), options_of(file)
    (tmp_path / "body").write_bytes(content)
    table = read_table(
        tmp_path / "body", "parquet" if file.name.endswith("parquet") else "csv", Reading(options, LIMITS)
    )
    report = write_dataset(table, tmp_path / "data", options, LIMITS)
    used = [column for column in report["table"]["columns"] if column["role"] != "dropped"]
    assert (report["content"]["task"], len(used)) == TASKS[name]
    if "lags" in file.options:
        return
    inputs, _ = expert.table(content)
    for column in table.columns:
        if column.name in inputs and column.type != "date":
            assert_reads_like_pandas(column, inputs[column.name])


def test_every_file_has_a_source() -> None:
    for file in FILES.values():
        assert file.source == SYNTHETIC or file.license
