"""Formats of tables: the same table from each of them."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, ipc, parquet

from service.sandbox.parsing.tables.columns import Table
from tests.service.sandbox.reading.files import cells_of, read, refusal, types_of
from tests.service.sandbox.reading.workbook_files import DATE, DATE_TIME, workbook

ARFF = """% A table
@RELATION trees
@attribute height numeric
@attribute 'kind of tree' {oak,'sugar maple'}
@attribute old {true,false}
@attribute planted date "yyyy-MM-dd HH:mm:ss"
@attribute\tleaves integer [0,9000]
@DATA
1.5, oak, true, '1970-01-01 00:00:00', 8

% a comment
?, 'sugar maple', false, ?, 9
2.5, oak, ?, "1970-01-02 00:00:01", ?
"""
ROWS = {
    "height": [1.5, None, 2.5],
    "kind of tree": ["oak", "sugar maple", "oak"],
    "old": ["true", "false", None],
    "planted": [0, None, 86401],
    "leaves": [8, 9, None],
}
TYPES = {"height": "number", "kind of tree": "category", "old": "boolean", "planted": "date", "leaves": "number"}


def table() -> pa.Table:
    columns: dict[str, Any] = {
        **ROWS,
        "old": [True, False, None],
        "planted": pa.array(ROWS["planted"], pa.timestamp("s", "Europe/Paris")),
    }
    return pa.table(columns)


def arrow_stream() -> bytes:
    file = io.BytesIO()
    with ipc.new_stream(file, table().schema) as stream:
        for batch in table().to_batches(max_chunksize=1):
            stream.write_batch(batch)
    return file.getvalue()


def arrow_file() -> bytes:
    file = io.BytesIO()
    feather.write_feather(table(), file)
    return file.getvalue()


def parquet_file() -> bytes:
    file = io.BytesIO()
    parquet.write_table(table(), file)
    return file.getvalue()


def excel() -> bytes:
    header = list(ROWS)
    days = 25569  # from Excel's first day to 1970
    rows: list[list[Any]] = [
        [1.5, "oak", True, (days, DATE), 8],
        [None, "sugar maple", False, None, 9.0],
        [2.5, "oak", None, (days + 1 + 1 / 86400, DATE_TIME), None],
    ]
    return workbook({"Notes": [], "Trees": [header, *rows], "Secret": [["x"]]}, hidden=["Secret"])


def csv() -> bytes:
    return (
        b"height,kind of tree,old,planted,leaves\n1.5,oak,true,1970-01-01T00:00:00Z,8\n"
        b",sugar maple,false,,9\n2.5,oak,,1970-01-02T01:00:01+01:00,\n"
    )


def zipped(content: bytes, name: str = "data/trees") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
        archive.writestr("LICENSE", "free")
    return file.getvalue()


FORMATS: dict[str, Callable[[], bytes]] = {
    "csv": csv,
    "parquet": parquet_file,
    "arrow": arrow_file,
    "xlsx": excel,
    "arff": ARFF.encode,
}


def check(result: Table, form: str) -> None:
    assert result.format == form
    types = TYPES if form != "arff" else {**TYPES, "old": "category"}
    assert types_of(result) == types
    assert {column.name: cells_of(column) for column in result.columns} == ROWS


@pytest.mark.parametrize("form", FORMATS)
def test_table_is_the_same_from_every_format(form: str) -> None:
    content = FORMATS[form]()
    check(read(content, target="leaves"), form)
    check(read(content, target="leaves", format=form), form)
    check(read(gzip.compress(content), target="leaves"), form)
    check(read(zipped(content), target="leaves"), form)


def test_stream_of_arrow_batches_is_read() -> None:
    check(read(arrow_stream()), "arrow")


def test_data_frame_of_pandas_is_read_with_its_index_as_an_id() -> None:
    frame = pd.DataFrame(
        {"k": pd.Categorical(["01", "1", "01"]), "big": [2**60, 2**60 + 1, 2**60], "z": ["5", "?", "7"]},
        index=[1, 2, 3],
    )
    file = io.BytesIO()
    frame.to_parquet(file)
    result = read(file.getvalue(), target="z")
    assert types_of(result) == {"k": "category", "big": "category", "z": "number", "__index_level_0__": "id"}
    assert result.columns[1].levels == (str(2**60), str(2**60 + 1))


def test_sentinels_are_missing_in_every_format() -> None:
    file = io.BytesIO()
    parquet.write_table(pa.table({"a": [1, -999, 3], "b": ["x", "-999", "y"], "y": [1.5, 2.5, 3.5]}), file)
    for content in (file.getvalue(), b"a,b,y\n1,x,1.5\n-999,-999,2.5\n3,y,3.5\n"):
        columns = read(content, missing=("-999",)).columns
        assert [cells_of(column) for column in columns[:2]] == [[1, None, 3], ["x", None, "y"]]
        assert columns[0].notes == ("Read as missing: '-999' (1 row).",)


def test_array_of_numbers_is_a_table() -> None:
    array = np.random.default_rng(0).normal(size=(20, 3))
    for values in (array, np.asfortranarray(array), array.astype(">f4"), (array * 9).astype(np.int16), array > 0):
        file = io.BytesIO()
        np.save(file, values)
        result = read(file.getvalue())
        assert [column.name for column in result.columns] == ["0", "1", "2"]
        if values.dtype != bool:
            np.testing.assert_array_equal(np.stack([column.values for column in result.columns], 1), values)


def test_sparse_rows_have_zeros_and_first_values() -> None:
    text = "@relation r\n@attribute a real\n@attribute b {x,y}\n@attribute c numeric\n@data\n{0 1.5, 1 y}\n{2 ?}\n{}\n"
    assert [cells_of(column) for column in read(text).columns] == [[1.5, 0, 0], ["y", "x", "x"], [0, None, 0]]


def test_declared_labels_of_digits_are_categories() -> None:
    text = "@relation r\n@attribute a real\n@attribute class {0,1}\n@data\n1,0\n2,1\n3,1\n"
    assert types_of(read(text)) == {"a": "number", "class": "category"}
    assert types_of(read(text, types={"class": "number"})) == {"a": "number", "class": "number"}


def test_sheet_and_member_are_chosen_by_name() -> None:
    book = workbook({"A": [["x", "y"], [1, 2]], "B": [["x", "y"], [3, 4]]})
    refused = refusal(book)
    assert (refused.code, refused.parameter, refused.allowed) == ("several_tables", "sheet", ["A", "B"])
    assert read(book, sheet="B").columns[0].values[0] == 3
    assert refusal(book, sheet="C").allowed == ["A", "B"]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", "x,y\n1,2\n")
        archive.writestr("b/c.csv", "x,y\n3,4\n")
    refused = refusal(file.getvalue())
    assert (refused.code, refused.parameter, refused.allowed) == ("several_tables", "member", ["a.csv", "b/c.csv"])
    assert read(file.getvalue(), member="b/c.csv").columns[0].values[0] == 3
    assert refusal(file.getvalue(), member="c.csv").code == "no_such_member"


def test_numbers_and_texts_in_one_column_of_a_workbook_become_texts() -> None:
    rows: list[list[Any]] = [[1.0, 1], ["A2", 2], [1.0, 3], [2.5, 4], ["A2", 5], [(1.0, DATE), 6], [True, 7]]
    column = read(workbook({"S": [["code", "y"], *rows]})).columns[0]
    assert cells_of(column) == ["1", "A2", "1", "2.5", "A2", "1900-01-01", "true"]


def test_words_for_missing_values_leave_a_column_of_a_workbook_numeric() -> None:
    rows: list[list[Any]] = [[f"{i}" if i % 2 else float(i), i] for i in range(30)]
    column = read(workbook({"S": [["a", "y"], *rows, ["N/A", 1], [None, 2]]})).columns[0]
    assert cells_of(column) == [*map(float, range(30)), None, None]
