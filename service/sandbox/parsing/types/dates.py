"""Dates as people write them, read in the one pattern that fits every text of a column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.sandbox.parsing.formats.raw_columns import share_of
from service.sandbox.parsing.sources import Values

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
IN_UTC = "Times with a time zone were converted to UTC."
MOST = 0.5
"""Share of a sample that is dates if the column is."""
ORDERS = {True: "day/month/year", False: "month/day/year"}
"""Names of the orders of a date by whether the day comes first."""
PIVOT = 30
"""Two-digit years from here on are of the twentieth century, as in Excel."""
YEAR = r"(?P<year>\d{4}|\d{2})"
MONTH_NAME = r"(?P<name>(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-zA-Z]{0,6})\.?"
TIME = (
    r"(?:(?:[T:]|,?\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|z|UTC|GMT|[+\-]\d{2}:?\d{2}|[+\-]\d{2})?)?"
)
WEEKDAY = r"^(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
PATTERNS = {
    "year-month-day": rf"^(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){TIME}$",
    "year-month": r"^(?P<year>\d{4})[-/](?P<month>\d{1,2})$",
    "day, month and year": rf"^(?P<first>\d{{1,2}})[-/.](?P<second_>\d{{1,2}})[-/.]{YEAR}{TIME}$",
    "month/year": r"^(?P<month>\d{1,2})[-/.](?P<year>\d{4})$",
    "day month-name year": rf"{WEEKDAY}(?P<day>\d{{1,2}})[-/. ]\s*{MONTH_NAME}[-/. ,]\s*{YEAR}{TIME}$",
    "month-name day year": (
        rf"{WEEKDAY}{MONTH_NAME}[-/. ]\s*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}}){TIME}$"
    ),
    "month-name year": rf"^{MONTH_NAME}[-/. ,]\s*{YEAR}$",
    "year month-name": rf"^(?P<year>\d{{4}})[-/. ,]\s*{MONTH_NAME}(?:[-/. ]\s*(?P<day>\d{{1,2}}))?$",
    "quarter": r"^(?P<year>\d{4})[-/. ]?[qQ](?P<quarter>[1-4])$",
}
ON_REQUEST = {
    "yyyymmdd": r"^(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})$",
    "year": r"^(?P<year>\d{4})$",
    "year of a series and month": r"^(?P<year>\d{1,4})[-/](?P<month>\d{1,2})$",
}
"""Patterns that may as well be numbers or codes."""


@dataclass(frozen=True)
class Reading:
    """How the texts of a column were read as dates."""

    values: Values
    """Float64 seconds since 1970 UTC, one for each text; NaN where it is not a date in this pattern."""
    has_time: bool
    notes: tuple[str, ...]
    day_first: bool | None = None
    """The order of day and month where the pattern leaves it open."""


def read(texts: pa.Array, *, requested: bool = False, day_first: bool | None = None) -> Reading | None:
    """Read the different texts of a column as dates, in the pattern that fits most; None if none fits.

    ``day_first`` is the known order of day and month in 1/2/2024; the texts decide without it.
    """
    if not len(texts):
        return Reading(np.empty(0), has_time=False, notes=())
    patterns = {**PATTERNS, **(ON_REQUEST if requested else {})}
    shares = {name: share_of(texts, pattern) for name, pattern in patterns.items()}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] < MOST:
        return _series(texts)
    return _Parser(texts, best, patterns[best], day_first).read()


def _series(texts: pa.Array) -> Reading | None:
    """Read texts such as 1-01, 1-02 … 3-12 if they are consecutive months of the years 1, 2, 3 of a series."""
    name = "year of a series and month"
    if len(texts) < 3 or not pc.all(pc.match_substring_regex(texts, ON_REQUEST[name])).as_py():
        return None
    reading = _Parser(texts, name, ON_REQUEST[name]).read()
    if np.isnan(reading.values).any():
        return None
    months = reading.values.astype("M8[s]").astype("M8[M]").astype(np.int64)
    if not (np.diff(months) == 1).all():
        return None
    return Reading(reading.values, has_time=False, notes=("Its values are consecutive months: year-month.",))


class _Parser:
    """Reads texts in one pattern."""

    def __init__(self, texts: pa.Array, name: str, pattern: str, day_first: bool | None = None) -> None:
        self.name = name
        self._known_order = day_first
        self._parts = pc.extract_regex(texts, pattern)
        self._fits: Values = self._parts.is_valid().to_numpy(zero_copy_only=False)
        self._names = [field.name for field in self._parts.type]

    def read(self) -> Reading:
        """Return the dates and notes on what was decided."""
        notes = []
        day, month, day_first = self._number("day", 1), self._month(), None
        year = self._year()
        if self.name == "day, month and year":
            first, second = self._number("first"), self._number("second_")
            day_first, note = self._order(first, second, year)
            day, month = (first, second) if day_first else (second, first)
            notes.append(note)
        if self._two_digits():
            notes.append(f"Two-digit years count from 19{PIVOT} to 20{PIVOT - 1}.")
        seconds, has_time = self._seconds()
        if "zone" in self._names and pc.any(pc.not_equal(self._text("zone"), "")).as_py():
            notes.append(IN_UTC)
        days, valid = _days(year, month, day)
        values = np.where(self._fits & valid & ~np.isnan(seconds), days * 86400.0 + seconds, np.nan)
        return Reading(values, has_time, tuple(notes), day_first)

    def _text(self, name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(self._parts, name), "")

    def _number(self, name: str, default: int = 0) -> Values:
        if name not in self._names:
            return np.full(len(self._fits), default, np.int64)
        texts = pc.struct_field(self._parts, name)
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
        values: Values = pc.fill_null(pc.cast(texts, pa.int64()), default).to_numpy(zero_copy_only=False)
        return values

    def _month(self) -> Values:
        if "name" in self._names:
            names = pc.utf8_slice_codeunits(pc.utf8_lower(self._text("name")), 0, 3)
            index: Values = pc.fill_null(pc.index_in(names, pa.array(MONTHS)), -1).to_numpy(zero_copy_only=False)
            return index.astype(np.int64) + 1
        if "quarter" in self._names:
            return 3 * self._number("quarter") - 2
        return self._number("month", 1)

    def _short_years(self) -> Values:
        if self.name == "year of a series and month":
            return np.zeros(len(self._fits), bool)
        short: Values = pc.equal(pc.utf8_length(self._text("year")), 2).to_numpy(zero_copy_only=False)
        return short

    def _year(self) -> Values:
        year = self._number("year")
        return np.where(self._short_years(), year + np.where(year < PIVOT, 2000, 1900), year)

    def _two_digits(self) -> bool:
        return bool((self._short_years() & self._fits).any())

    def _order(self, first: Values, second: Values, year: Values) -> tuple[bool, str]:
        """Decide for the whole column whether the day comes first; return it with a note."""
        if self._known_order is not None:
            return self._known_order, f"Dates are read as {ORDERS[self._known_order]}, as in the model's dataset."
        days = [int((one[self._fits] > 12).sum()) for one in (first, second)]
        if days[0] != days[1]:
            return days[0] > days[1], f"Dates are read as {ORDERS[days[0] > days[1]]}."
        ascends = [self._ascends(year, *order) for order in ((second, first), (first, second))]
        if ascends[0] != ascends[1]:
            return ascends[0], f"Dates are read as {ORDERS[ascends[0]]}, in which they ascend."
        note = (
            f"Dates are read as {ORDERS[True]}, though {ORDERS[False]} fits as well. If that is wrong, write them as "
            "year-month-day."
        )
        return True, note

    def _ascends(self, year: Values, month: Values, day: Values) -> bool:
        """Return whether different dates follow each other in order of time."""
        dates = ((year * 100 + month) * 100 + day)[self._fits]
        return bool((np.diff(dates) >= 0).all())

    def _seconds(self) -> tuple[Values, bool]:
        """Return the seconds since midnight UTC of each row, NaN where invalid, and whether any has a time."""
        if "hour" not in self._names:
            return np.zeros(len(self._fits)), False
        hour, minute = self._number("hour"), self._number("minute")
        texts = pc.replace_substring(self._text("second"), ",", ".")
        second = pc.fill_null(pc.cast(pc.if_else(pc.equal(texts, ""), None, texts), pa.float64()), 0.0)
        seconds: Values = second.to_numpy(zero_copy_only=False)
        half = pc.utf8_lower(pc.utf8_slice_codeunits(self._text("half"), 0, 1))
        is_half, is_pm = (
            pc.not_equal(half, "").to_numpy(zero_copy_only=False),
            pc.equal(half, "p").to_numpy(zero_copy_only=False),
        )
        valid = (hour < np.where(is_half, 13, 24)) & (minute < 60) & (seconds < 61)
        hour = np.where(is_half, hour % 12 + 12 * is_pm, hour)
        total = hour * 3600.0 + minute * 60.0 + seconds - self._offset()
        has_time = bool((total[self._fits] % 86400 != 0).any())
        return np.where(valid, total, np.nan), has_time

    def _offset(self) -> Values:
        """Seconds by which each row's time zone is ahead of UTC."""
        zone = pc.replace_substring(self._text("zone"), ":", "")
        numeric = pc.match_substring_regex(zone, r"^[+\-]\d{2}")
        padded = pc.utf8_rpad(pc.if_else(numeric, zone, "+0000"), 5, "0")
        hours = pc.cast(pc.utf8_slice_codeunits(padded, 1, 3), pa.int64()).to_numpy(zero_copy_only=False)
        minutes = pc.cast(pc.utf8_slice_codeunits(padded, 3, 5), pa.int64()).to_numpy(zero_copy_only=False)
        sign = np.where(pc.starts_with(padded, "-").to_numpy(zero_copy_only=False), -1, 1)
        offset: Values = sign * (hours * 3600 + minutes * 60)
        return offset


def _days(year: Values, month: Values, day: Values) -> tuple[Values, Values]:
    """Return days since 1970 of the proleptic Gregorian calendar, and whether each date exists."""
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (year >= 1)
    safe_month = np.where(valid, month, 1)
    months = ((year - 1970) * 12 + safe_month - 1).astype("M8[M]")
    dates = months.astype("M8[D]") + np.where(valid, day - 1, 0).astype("m8[D]")
    valid &= dates.astype("M8[M]") == months
    return dates.astype(np.int64).astype(np.float64), valid
