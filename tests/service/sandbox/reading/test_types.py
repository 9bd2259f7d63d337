"""Types of columns, inferred and requested."""

from __future__ import annotations

from typing import Any

import pytest

from service.sandbox.parsing.options import ColumnType
from tests.service.sandbox.reading.files import cells_of, column_of, read, refusal, types_of

WORDS = ["amber", "beech", "cedar", "dogwood"]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["true", "False", "TRUE", "false"], "boolean"),
        (["t", "f", "t", ""], "boolean"),
        (["Yes", "no", "NO", "?"], "boolean"),
        (["0", "1", "0", "1"], "number"),
        (["yes", "no", "maybe", "no"], "category"),
        ([f"word {i % 7}" for i in range(30)], "category"),
        ([f"user {i}" for i in range(30)], "id"),
        ([f"{i:08x}-0000-4000-8000-000000000000" for i in range(30)], "id"),
        ([f"A review of {i} words that says how the purchase was, at some length" for i in range(30)], "text"),
        ([f"{i % 30} A" for i in range(50)], "text"),
        ([f"{i / 7}" for i in range(30)], "number"),
        ([str(i * 37 % 101) for i in range(30)], "number"),
        ([""] * 5, "number"),
    ],
)
def test_type_is_inferred_from_all_values(cells: list[str], kind: str) -> None:
    assert column_of(cells).type == kind


@pytest.mark.parametrize("name", ["", "id", "Unnamed: 0", "index", "customer_id", "rowId"])
def test_numbers_of_rows_are_ids(name: str) -> None:
    table = read(f"{name},x,y\n" + "".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(20)))
    assert [column.type for column in table.columns] == ["id", "number", "number"]


def test_different_whole_numbers_named_id_are_an_id_but_measurements_are_not() -> None:
    rows = "".join(f"{842302 + 17 * i % 89},{842302 + 17 * i % 89},{i % 2}\n" for i in range(40))
    assert types_of(read("id,humid,y\n" + rows)) == {"id": "id", "humid": "number", "y": "number"}


@pytest.mark.parametrize("role", ["target", "group", "time", "split", "weight"])
def test_column_with_a_role_is_never_an_id_or_a_text(role: str) -> None:
    text = "id,name,x\n" + "".join(f"{i},person {i},{i * i % 7}\n" for i in range(20))
    assert types_of(read(text, **{role: "id", "drop": ("x",)}))["id"] == "number"
    assert types_of(read(text, **{role: "name", "drop": ("x",)}))["name"] == "category"


def test_last_column_without_a_role_is_the_target() -> None:
    text = "a,b,c\n" + "".join(f"{i},person {i},{i}\n" for i in range(20))
    assert types_of(read(text, drop=("c",)))["b"] == "category"


@pytest.mark.parametrize(
    ("kind", "cells", "values"),
    [
        ("category", ["1", "2.50", "1"], ["1", "2.50", "1"]),
        ("category", ["yes", "no", ""], ["yes", "no", None]),
        ("text", ["1", "2", "1"], ["1", "2", "1"]),
        ("id", ["5", "5", "6"], ["5", "5", "6"]),
        ("number", ["01", "02", "?"], [1, 2, None]),
        ("number", ["1,5", "2", "3"], [1.5, 2, 3]),
        ("boolean", ["0", "1", "1"], ["false", "true", "true"]),
        ("boolean", ["Y", "n", "-"], ["true", "false", None]),
        ("date", ["1970", "1971", ""], [0, 365 * 86400, None]),
        *((kind, ["", "?"], [None, None]) for kind in ("number", "date", "boolean", "category", "text", "id")),
    ],
)
@pytest.mark.parametrize("name", ["x", "0"])
def test_requested_type_is_used(kind: ColumnType, cells: list[str], values: list[Any], name: str) -> None:
    column = column_of(cells, types={name: kind})
    assert (column.type, cells_of(column)) == (kind, values)


@pytest.mark.parametrize(
    ("kind", "bad"), [("number", "amber"), ("date", "31/31/2020"), ("boolean", "perhaps"), ("date", "amber")]
)
def test_cell_that_does_not_fit_the_requested_type_is_refused(kind: ColumnType, bad: str) -> None:
    usual = {"number": "1", "date": "1/2/2020", "boolean": "yes"}[kind]
    refused = refusal(f"x,y\n{usual},1\n{bad},2\n", types={"x": kind})
    assert (refused.code, refused.column, refused.row, refused.cell) == ("mixed_types", "x", 2, bad)


def test_unknown_columns_of_types_are_refused_together() -> None:
    refused = refusal("a,b\n1,2\n", types={"c": "number", "d": "date"})
    assert [error["code"] for error in refused.report()] == ["no_such_column"] * 2


def test_levels_are_sorted_and_in_use() -> None:
    column = column_of([*WORDS[::-1], *WORDS[::-1], "NA"])
    assert column.levels == tuple(WORDS)
    assert cells_of(column) == [*WORDS[::-1], *WORDS[::-1], None]


def test_texts_that_differ_in_spaces_are_one_level() -> None:
    column = column_of(["a", " a", "a ", "b"] * 2)
    assert column.levels == ("a", "b")
    assert column.notes == ("Spaces around values were removed.",)


def test_missing_texts_are_counted() -> None:
    column = column_of(["a", "b", "-", "-", "unknown", "a", "b"], missing=("unknown",))
    assert column.notes == ("Read as missing: '-' (2 rows), 'unknown' (1 row).",)
