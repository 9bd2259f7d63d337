"""Files that are refused by name, or read all the same, whatever format the request says."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from service.sandbox.parsing.options import Files, KnownColumn, Options, Reading, RowsTask
from service.sandbox.parsing.tables.prediction_files import read_rows
from tests.service.sandbox.reading.files import LIMITS, cells_of, read, refusal, types_of

NESTED = pa.table(
    {
        "s": [{"u": 1, "v": [2]}] * 3,
        "img": [b"a"] * 3,
        "m": pa.array([[(1, 2)]] * 3, pa.map_(pa.int32(), pa.int32())),
        "x": [1.5, 2.5, 3.5],
        "y": ["a", "b", "a"],
    }
)
UNREADABLE = ("s", "img", "2")


def as_parquet() -> bytes:
    file = io.BytesIO()
    parquet.write_table(NESTED, file)
    return file.getvalue()


def as_arrow() -> bytes:
    file = io.BytesIO()
    with pa.ipc.new_file(file, NESTED.schema) as writer:
        writer.write_table(NESTED)
    return file.getvalue()


@pytest.mark.parametrize("form", [None, "csv"])
@pytest.mark.parametrize(
    ("content", "code", "hint"),
    [
        ("a,b,k", "empty", "no rows"),
        ("# note\na,b,k", "empty", "no rows"),
        ('{"a": [1, 2], "b": 3}', "wrong_format", "JSON"),
        ("[1, 2, 3]", "wrong_format", "JSON"),
        ("<html><body>Log in</body></html>", "wrong_format", "HTML"),
    ],
)
def test_one_line_is_refused_by_name(form: str | None, content: str, code: str, hint: str) -> None:
    refused = refusal(content, format=form)
    assert refused.code == code
    assert hint in refused.message


def test_arff_is_read_whatever_the_request_calls_it() -> None:
    table = read("@relation x\n@attribute a numeric\n@attribute b {u,v}\n@data\n1,u\n2,v\n", format="csv")
    assert (table.format, types_of(table)) == ("arff", {"a": "number", "b": "category"})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_text_without_byte_order_mark_is_refused(encoding: str) -> None:
    content = "a,b\n1,2\n3,4\n".encode(f"{encoding}-le")
    refused = refusal(content, encoding=encoding)
    assert (refused.code, refused.parameter) == ("not_utf8", "encoding")
    assert cells_of(read(content, encoding=f"{encoding}-le").columns[0]) == [1, 3]


@pytest.mark.parametrize("repeats", [1, 150])
def test_two_columns_with_decimal_commas_are_delimited_by_semicolons(repeats: int) -> None:
    table = read("a;k\n" + "0,5;a\n1,5;b\n" * repeats)
    assert cells_of(table.columns[0])[:2] == [0.5, 1.5]


@pytest.mark.parametrize("options", [{}, {"types": {"x": "number"}}])
@pytest.mark.parametrize("cell", ["1e340", "1e340 €"])
def test_refusal_of_an_infinite_number_has_its_text(cell: str, options: dict[str, Any]) -> None:
    refused = refusal(f"x,y\n1,0\n{cell},1\n", **options)
    assert (refused.code, refused.row, refused.cell) == ("not_finite", 2, cell)
    assert f"missing={cell}" in refused.message
    assert cells_of(read(f"x,y\n1,0\n{cell},1\n2.5,0\n", missing=(cell,)).columns[0]) == [1, None, 2.5]


@pytest.mark.parametrize("content", [as_parquet(), as_arrow()], ids=["parquet", "arrow"])
def test_dropped_columns_may_be_of_any_type(content: bytes) -> None:
    assert refusal(content, drop=("s", "m")).column == "img"
    table = read(content, drop=UNREADABLE)
    assert cells_of(table.columns[3]) == [1.5, 2.5, 3.5]
    assert table.columns[1].missing.all()
    assert "binary" in table.columns[1].notes[0]


def test_columns_that_a_model_does_not_use_may_be_of_any_type(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.body.write_bytes(as_parquet())
    task = RowsTask(columns=(KnownColumn(name="x", type="number"),))
    report = read_rows(files, "parquet", Reading(Options(), LIMITS), task)
    assert report["rows"] == 3
