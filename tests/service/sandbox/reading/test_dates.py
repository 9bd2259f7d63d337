"""Dates as people write them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.service.sandbox.reading.files import cells_of, column_of, refusal

ASCENDING = ["2020-01-03", "2020-01-04", "2020-01-05", "2020-01-06", "2020-02-01"]


@pytest.mark.parametrize(
    ("cells", "dates"),
    [
        (["2020-01-31", "2020/2/1", "2020.12.03"], ["2020-01-31", "2020-02-01", "2020-12-03"]),
        (["1958-03", "1958-04", "1959-01"], ["1958-03-01", "1958-04-01", "1959-01-01"]),
        (["31/12/2020", "1/2/2021", "02/03/2021"], ["2020-12-31", "2021-02-01", "2021-03-02"]),
        (["12/31/2020", "1/2/2021", "02/03/2021"], ["2020-12-31", "2021-01-02", "2021-02-03"]),
        (["31.12.99", "01.02.01", "01.03.29"], ["1999-12-31", "2001-02-01", "2029-03-01"]),
        (["3/1/2020", "4/1/2020", "5/1/2020", "6/1/2020", "1/2/2020"], ASCENDING),
        (["1/3/2020", "1/4/2020", "1/5/2020", "1/6/2020", "2/1/2020"], ASCENDING),
        (["5 Jan 1999", "16-February-2001", "7 Mar 2002"], ["1999-01-05", "2001-02-16", "2002-03-07"]),
        (["January 5, 1999", "Feb 16 2001", "Mar 7, 2002"], ["1999-01-05", "2001-02-16", "2002-03-07"]),
        (["Jan-58", "Feb-58", "Mar 1960"], ["1958-01-01", "1958-02-01", "1960-03-01"]),
        (["1958 Jan", "1958-Feb", "1960 March"], ["1958-01-01", "1958-02-01", "1960-03-01"]),
        (["1958Q1", "1958-Q2", "1960 Q4"], ["1958-01-01", "1958-04-01", "1960-10-01"]),
        (["03/2001", "4/2001", "12/2001"], ["2001-03-01", "2001-04-01", "2001-12-01"]),
        (["2020-01-01T10:00:00+02:00", "2020-01-01 10:00Z", "2020-01-01"],
         ["2020-01-01T08:00", "2020-01-01T10:00", "2020-01-01"]),
        (["Mon, 01 Jan 2001 11:59:58 PM", "Tue, 2 Jan 2001 12:00:00 AM", "Wed, 3 Jan 2001"],
         ["2001-01-01T23:59:58", "2001-01-02", "2001-01-03"]),
        (["1/31/2001 1:05:00 pm", "2/1/2001 12:30 am"], ["2001-01-31T13:05", "2001-02-01T00:30"]),
    ],
)  # fmt: skip
def test_dates_are_read_as_people_write_them(cells: list[str], dates: list[str]) -> None:
    column = column_of([*cells, "", cells[0]])
    assert column.type == "date"
    expected = [np.datetime64(date, "s").astype(float) for date in dates]
    assert cells_of(column) == [*expected, None, expected[0]]
    assert column.has_time == any("T" in date for date in dates)


def test_fractions_of_seconds_are_kept() -> None:
    assert cells_of(column_of(["2020-01-01 00:00:00.25", "2020-01-01 00:00:01.5"])) == [1577836800.25, 1577836801.5]


def test_conversion_to_utc_is_noted() -> None:
    assert column_of(["2020-01-01T10:00+02:00", "2020-01-02T10:00Z"]).notes == (
        "Times with a time zone were converted to UTC.",
    )


def test_day_that_may_be_a_month_is_noted() -> None:
    (note,) = column_of(["05/03/2020", "01/02/2020", "03/01/2020"]).notes
    assert "month/day/year fits as well" in note


@pytest.mark.parametrize("cells", [["1958", "1959", "1960"], ["20200131", "20200201", "20200302"]])
def test_years_and_digits_are_numbers_unless_requested(cells: list[str]) -> None:
    assert column_of(cells).type == "number"
    column = column_of(cells, types={"x": "date"})
    assert column.type == "date"
    assert str(column.values[:1].astype("M8[s]").astype("M8[Y]")[0]) == cells[0][:4]


def test_day_that_does_not_exist_is_refused_with_its_place() -> None:
    days = [f"2021-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(60)]
    refused = refusal("\n".join(["d,y", *(f"{day},1" for day in [*days, "2021-02-29"])]))
    assert (refused.row, refused.cell) == (61, "2021-02-29")


def test_one_day_in_another_order_is_refused_with_its_place() -> None:
    days = [f"{13 + i % 15}/{1 + i % 12}/2021" for i in range(60)]
    refused = refusal("\n".join(["d,y", *(f"{day},1" for day in [*days, "1/13/2021"])]))
    assert (refused.row, refused.cell) == (61, "1/13/2021")
