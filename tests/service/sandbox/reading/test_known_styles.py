"""Predictions are read in the style of the dataset: its order of day and month, and its decimal mark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from service.sandbox.parsing.options import Files, KnownColumn, Options, Reading, RowsTask
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.tables.files import described
from service.sandbox.parsing.tables.prediction_files import read_rows
from service.sandbox.predicting.loaded_models import OrderRefused
from service.sandbox.predicting.table_rows import table_rows
from tests.service.sandbox.reading.files import LIMITS, read
from worker.spec.tables.columns import Columns
from worker.spec.tables.fitted import Fitted
from worker.spec.tables.schema import Column, TableSchema

MONTH_FIRST = "d,y\n" + "".join(f"{month}/13/2024,{month % 2}\n" for month in range(1, 13))
DAY_FIRST = "d,y\n" + "".join(f"13/{month}/2024,{month % 2}\n" for month in range(1, 13))
DECIMAL_COMMA = 'x,y\n"5,105",1\n"0,5",0\n"7,25",1\n'
THOUSANDS = "x;t;y\n1.100;0,5;1\n2.107;1,5;0\n"


def schema_of(training: str) -> TableSchema:
    columns = read(training).columns[:1]
    inputs = [described(column, np.arange(len(column.values))) for column in columns]
    return TableSchema.model_validate_json(json.dumps({"columns": inputs}))


def from_file(folder: Path, training: str, content: str, **options: Any) -> float:
    (column,) = schema_of(training).columns
    known = KnownColumn(name=column.name, type=column.type, decimal=column.decimal, day_first=column.day_first)
    files = Files(folder)
    files.body.write_text(content)
    files.data.unlink(missing_ok=True)
    read_rows(files, "csv", Reading(Options(**options), LIMITS), RowsTask(columns=(known,)))
    return float(load_file(files.data)["numbers"][0, 0])


def from_json(training: str, value: Any) -> float:
    schema = schema_of(training)
    rows, _ = table_rows([{schema.columns[0].name: value}], Fitted(schema, Columns(), {}))
    return float(rows.numbers[0, 0])


def seconds(day: str) -> float:
    return float(np.datetime64(day, "s").astype(float))


@pytest.mark.parametrize(
    ("training", "cell", "value"),
    [
        (MONTH_FIRST, "2/11/2024", seconds("2024-02-11")),
        (DAY_FIRST, "2/11/2024", seconds("2024-11-02")),
        (MONTH_FIRST, "2024-02-11", seconds("2024-02-11")),
        (DECIMAL_COMMA, "1,234", 1.234),
        (DECIMAL_COMMA, "1.234", 1234),
        (DECIMAL_COMMA, "7", 7),
        (THOUSANDS, "1.234", 1234),
    ],
)
def test_predictions_are_read_in_the_style_of_the_dataset(
    tmp_path: Path, training: str, cell: str, value: float
) -> None:
    name = training[0]
    assert from_file(tmp_path, training, f'{name}\n"{cell}"\n') == value
    assert from_json(training, cell) == value


@pytest.mark.parametrize(
    ("training", "cell", "hint"),
    [
        (MONTH_FIRST, "13/2/2024", "month/day/year"),
        (DAY_FIRST, "2/13/2024", "day/month/year"),
        (DECIMAL_COMMA, "0.5", "decimal comma"),
    ],
)
def test_value_of_another_style_is_refused_with_its_place(tmp_path: Path, training: str, cell: str, hint: str) -> None:
    name = training[0]
    with pytest.raises(Refused, match=hint) as caught:
        from_file(tmp_path, training, f"{name}\n{cell}\n")
    assert (caught.value.column, caught.value.row, caught.value.cell) == (name, 1, cell)
    with pytest.raises(OrderRefused, match=hint):
        from_json(training, cell)


def test_option_and_numbers_of_json_override_the_style(tmp_path: Path) -> None:
    assert from_file(tmp_path, DECIMAL_COMMA, 'x\n"1,234"\n', decimal=".") == 1234
    assert from_file(tmp_path, DECIMAL_COMMA, "x\n0.5\n", decimal=".") == 0.5
    assert from_json(DECIMAL_COMMA, 1.234) == 1.234


def test_style_is_stored_only_where_texts_had_one() -> None:
    plain = schema_of("x,y\n1.5,1\n2.5,0\n").columns[0]
    assert not {"decimal", "day_first"} & set(plain.model_dump())
    assert schema_of("d,y\n2024-01-31,1\n2024-02-01,0\n").columns[0].day_first is None
    assert schema_of(MONTH_FIRST).columns[0].model_dump()["day_first"] is False
    assert schema_of(DECIMAL_COMMA).columns[0].model_dump()["decimal"] == ","
    assert Column.model_validate_json('{"name": "x", "type": "number"}').decimal == "."
