"""Numbers as people write them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.service.sandbox.reading.files import cells_of, column_of, read, refusal


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1.5", "-2", "+3", "1e-3", ".5"], [1.5, -2, 3, 1e-3, 0.5]),
        (["1,5", "2,25", "-3,0"], [1.5, 2.25, -3]),
        (["1.234,5", "2.000,25", "7,5"], [1234.5, 2000.25, 7.5]),
        (["1,234.5", "2,000.25", "7.5"], [1234.5, 2000.25, 7.5]),
        (["1.234.567", "2.000", "1.000"], [1234567, 2000, 1000]),
        (["1 234", "2 000 000", "3"], [1234, 2000000, 3]),
        (["1\u202f234,5", "2\u00a0000", "3"], [1234.5, 2000, 3]),
        (["1'234.5", "2'000", "3"], [1234.5, 2000, 3]),
        (["1,23,456", "12,345", "5"], [123456, 12345, 5]),
        (["5%", "-4.00%", "0.5 %"], [5, -4, 0.5]),
        (["$1.20", "$3", "-$4"], [1.2, 3, -4]),
        (["1,20 €", "3 €", "-4,5 €"], [1.2, 3, -4.5]),
        (["0.5K", "2M", "1.5B", "900"], [500, 2e6, 1.5e9, 900]),
        (["(5)", "−6", "7"], [-5, -6, 7]),
        ([" 1", "2 ", "\t3"], [1, 2, 3]),
        (["1", "-", "--", ".", "N/A", "#N/A", "nan", "None"], [1] + [None] * 7),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(cells: list[str], values: list[float | None]) -> None:
    column = column_of(cells)
    assert (column.type, cells_of(column)) == ("number", values)


@pytest.mark.parametrize(
    ("text", "options", "value", "note"),
    [
        ('x,y\n"1,234",1\n"2,345",2\n', {}, 1234, "decimal=','"),
        ('x,y\n"1,234",1\n"2,345",2\n', {"decimal": ","}, 1.234, ""),
        ("x;y\n1,234;1\n2,345;2\n", {}, 1.234, "decimal='.'"),
        ("x;y\n1,234;1\n2,345;2\n", {"decimal": "."}, 1234, ""),
        ("x;y\n1.234;1\n2.345;2\n", {}, 1.234, ""),
        ("x;y\n1.234;1\n2.345;2\n", {"decimal": ","}, 1234, ""),
        ('x,y\n"1,234",1\n"2,34",2\n', {}, 1.234, "decimal mark"),
    ],
)
def test_whole_column_decides_what_a_comma_means(text: str, options: dict[str, str], value: float, note: str) -> None:
    column = read(text, **options).columns[0]
    assert column.values[0] == value
    assert note in " ".join(column.notes)


def test_separators_and_parentheses_are_noted() -> None:
    assert column_of(["1 234", "(5)", "6"]).notes == (
        "Spaces and apostrophes separate thousands.",
        "Numbers in parentheses are negative.",
    )


def test_digits_that_are_labels_stay_texts() -> None:
    zeros = column_of(["01", "1", "01", "2"])
    assert (zeros.type, zeros.levels) == ("category", ("01", "1", "2"))
    assert "leading zeros" in zeros.notes[0]
    large = column_of(["9007199254740993", "9007199254740992", "9007199254740993", "1"])
    assert (large.type, large.levels) == ("category", ("1", "9007199254740992", "9007199254740993"))
    assert cells_of(column_of(["0.5", "0", "00.25"], types={"x": "number"})) == [0.5, 0, 0.25]


def test_labels_are_found_wherever_they_begin() -> None:
    cells = [str(i % 50) for i in range(200_000)] + ["007"]
    assert column_of(cells).levels[:2] == ("0", "007")


def test_words_among_numbers_are_refused_with_their_places() -> None:
    lines = [f"{i},{7 * i}" for i in range(40)]
    refused = refusal("\n".join(["a,b", *lines, "x,1", "5,oops", "6,oops"]))
    first, second = refused.report()
    assert (first["column"], first["row"], first["cell"]) == ("a", 41, "x")
    assert (second["column"], second["row"], second["cell"]) == ("b", 42, "oops")
    assert "like 1 more" in second["message"]
    table = read("\n".join(["a,b", *lines, "x,1", "5,oops", "6,oops"]), missing=("x", "oops"))
    assert [column.type for column in table.columns] == ["number", "number"]


@pytest.mark.parametrize("cell", ["1.234,5", "5%", "€5", "1,23"])
def test_mixed_styles_are_refused(cell: str) -> None:
    refused = refusal("\n".join(["x;y"] + [f'"${i},{i:03}.5";1' for i in range(1, 60)] + [f'"{cell}";1']))
    assert (refused.code, refused.row, refused.cell) == ("mixed_types", 60, cell)


def test_few_numbers_beside_words_are_categories() -> None:
    column = column_of(["0", "1", "2", "3+"] * 5)
    assert (column.type, column.levels) == ("category", ("0", "1", "2", "3+"))


def test_dropped_column_is_never_the_reason_of_a_refusal() -> None:
    text = "\n".join(["a,b", *(f"{i},{i % 2}" for i in range(60)), "oops,1"])
    assert refusal(text).column == "a"
    for name in ("a", "0"):
        assert cells_of(read(text, drop=(name,)).columns[0])[-1] == "oops"


def test_infinite_numbers_are_refused() -> None:
    refused = refusal("a,b,y\n1,2,0\ninf,1,1\n3,-inf,0\n")
    assert [(error["column"], error["row"]) for error in refused.report()] == [("a", 2), ("b", 3)]
    assert cells_of(read("a,y\n1,0\ninf,1\n3,0\n", missing=("inf",)).columns[0]) == [1, None, 3]


def test_named_sentinels_are_missing() -> None:
    column = column_of(["-999", "2.5", "-999.0", "4"], missing=("-999",))
    assert cells_of(column) == [None, 2.5, None, 4]
    assert "2 rows" in column.notes[0]


def test_numbers_keep_the_bits_of_python() -> None:
    values = np.random.default_rng(0).normal(size=500) * 10.0 ** np.arange(-250, 250)
    assert cells_of(column_of([repr(float(value)) for value in values])) == values.tolist()


@pytest.mark.parametrize(
    ("text", "value", "note"),
    [
        ("p;t;y\n1.100;0,5;1\n2.107;1,5;0\n900;2,5;1\n", 1100, "decimal='.'"),
        ("p,t,y\n1.100,0.5,1\n2.107,1.5,0\n", 1.1, ""),
        ("p,t,y\n1.100,1,1\n2.107,2,0\n", 1.1, "decimal=','"),
        ('p,t,y\n1.100 €,"0,5",1\n2.107 €,"1,5",0\n', 1100, "decimal='.'"),
        ('p,t,y\n"1,100","0,5",1\n"2,107","1,5",0\n', 1.1, "decimal='.'"),
        ('p,t,y\n1.100,"0,5",1\n2.10,"1,5",0\n', 1.1, ""),
    ],
)
def test_other_columns_decide_what_a_point_means(text: str, value: float, note: str) -> None:
    column = read(text).columns[0]
    assert column.values[0] == pytest.approx(value, rel=1e-15)
    assert note in " ".join(column.notes)
    assert note or not column.notes


def test_thousands_keep_their_small_neighbours() -> None:
    assert cells_of(read("p;t\n1.100;0,5\n900;1,5\n-2.107;2,5\n0;1,5\n").columns[0]) == [1100, 900, -2107, 0]


@pytest.mark.parametrize("cell", ["1.2.3", "1,2,3"])
def test_cell_with_several_marks_is_the_one_that_is_refused(cell: str) -> None:
    rows = "".join(f'"{i}.0",{i % 2}\n' if "." in cell else f'"{i},0",{i % 2}\n' for i in range(5))
    refused = refusal(f'b,y\n{rows}"{cell}",1\n', types={"b": "number"})
    assert (refused.row, refused.cell) == (6, cell)
