"""Headers, names, delimiters, and the lines before a table."""

from __future__ import annotations

import pytest

from tests.service.sandbox.reading.files import cells_of, read, refusal


def names_of(text: str, **options: bool) -> list[str]:
    return [column.name for column in read(text, **options).columns]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n3,4\n", ["a", "b"]),
        ("1,2\n3,4\n", ["0", "1"]),
        ("0,1\n3,4\n", ["0", "1"]),
        ("name,sort\nbob,x\nann,y\nbob,x\n", ["name", "sort"]),
        ("bob,x\nann,y\nbob,x\n", ["0", "1"]),
        ("?,x\n5,y\n6,x\n", ["0", "1"]),
        ("2019,2020,y\n5.5,6,1\n7,8.5,0\n", ["2019", "2020", "y"]),
        ("$5,x\n$6,x\n", ["0", "1"]),
        ("2020-01-01,5\n2020-01-02,6\n", ["0", "1"]),
        ('"a b" ,"b\nc"\n1,2\n', ["a b", "b c"]),
        ('"Month", "1958", "1959"\n"JAN",  340,  360\n', ["Month", "1958", "1959"]),
        ("date,x\n2020-01-01,5\n", ["date", "x"]),
    ],
)
def test_header_is_detected(text: str, names: list[str]) -> None:
    assert names_of(text) == names


def test_header_can_be_set() -> None:
    assert names_of("1,2\n3,4\n", header=True) == ["1", "2"]
    assert names_of("a,b\nc,d\n", header=False) == ["0", "1"]


def test_unnamed_and_repeated_columns_get_names_of_their_own() -> None:
    table = read(",x,x,x (2),,x\n7,1,2,3,4,5\n9,5,6,7,8,9\n")
    assert [column.name for column in table.columns] == ["column 1", "x", "x (3)", "x (2)", "column 5", "x (4)"]
    assert table.notes == [
        "Columns without a name were named 'column 1', 'column 5'.",
        "Repeated names were numbered: 'x (3)', 'x (4)'.",
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Report of sales,,\na,b,c\n1,2,3\n4,5,6\n", "no_header"),
        ("a,b,c\nkg,m,s\n1,2,3\n4,5,6\n7,8,9\n", "several_headers"),
        ("a,b\n" + "x" * 200 + "\x01,5\n", None),
        ("a\x01,b\n1,2\n", "bad_name"),
        ("a" * 101 + ",b\n1,2\n", "bad_name"),
    ],
)
def test_rows_that_are_no_header_are_refused(text: str, code: str | None) -> None:
    if code is None:
        read(text)
    else:
        assert refusal(text).code == code


@pytest.mark.parametrize(
    "text",
    [
        "a;b\n1,5;2\n3,5;4\n",
        "a\tb\n1.5\t2\n3.5\t4\n",
        "a|b\n1.5|2\n3.5|4\n",
        "a b\n1.5 2\n3.5 4\n",
        "  a   b\n1.5\t 2 \n  3.5    4",
        "sep=;\na;b\n1.5;2\n3.5;4\n",
        "# comment\n% another\n\na,b\n1.5,2\n\n3.5,4\n",
        "a,b\r\n1.5,2\r\n3.5,4\r\n",
        "a,b\r1.5,2\r3.5,4\r",
        "\ufeffa,b\n1.5,2\n3.5,4",
    ],
)
def test_delimiter_and_line_ends_are_detected(text: str) -> None:
    table = read(text)
    assert {column.name: cells_of(column) for column in table.columns} == {"a": [1.5, 3.5], "b": [2, 4]}


@pytest.mark.parametrize(("delimiter", "mark"), [(":", ":"), ("tab", "\t"), ("^", "^"), ("whitespace", "  ")])
def test_delimiter_can_be_set(delimiter: str, mark: str) -> None:
    table = read(f"a{mark}b\n1.5{mark}2\n3.5{mark}4\n", delimiter=delimiter)
    assert [cells_of(column) for column in table.columns] == [[1.5, 3.5], [2, 4]]


def test_quotation_marks_after_spaces_are_removed() -> None:
    table = read('"a", "b", "y"\n"x", "1", "z ""1"""\n"x", "2", "w"\n')
    assert [cells_of(column) for column in table.columns] == [["x", "x"], [1, 2], ['z "1"', "w"]]


def test_quoted_delimiters_and_newlines_are_part_of_their_cells() -> None:
    table = read('a,y\n"x, ""1""\nz",1\n"x, ""1""\nz",2\nb,3\n')
    assert table.columns[0].levels == ("b", 'x, "1"\nz')
    table = read('18.0   8\t"chevrolet malibu"\n15.0   8\t"buick skylark"\n15.0   8\t"buick skylark"\n')
    assert table.columns[2].levels == ("buick skylark", "chevrolet malibu")


def test_row_of_another_length_is_refused_with_its_number() -> None:
    refused = refusal("a,b\n1,2\n3,4,5\n6\n")
    assert (refused.code, refused.row, refused.place) == ("ragged_rows", 2, "row 2")
    assert "'3,4,5'" in refused.message
    assert refusal("1 2\n3 4\n5 6 7\n" * 30, delimiter="whitespace").row == 3
    late = "".join(f"{i},{i}\n" for i in range(900_000))
    assert refusal(f"a,b\n{late}1,2,3\n").row == 900_001
