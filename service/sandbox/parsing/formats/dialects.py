"""How a delimited text is written: its delimiter, the lines before its table, and its first rows."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from service.sandbox.parsing.formats.headers import is_value
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import MAX_COLUMNS
from service.sandbox.parsing.types.missing import TOKENS

HEAD_CHARACTERS = 2**20
"""Longest first row, and the text from which the dialect is detected."""
SAMPLED_ROWS = 200
DELIMITERS = ("\t", ";", "|", ",")
"""In this order where several fit equally well: a comma may as well be a decimal mark."""
WHITESPACE = "whitespace"
COMMENTS = ("#", "%")
SEPARATOR = re.compile(r"\"?sep=(.)\"?\n")
"""A first line that declares the delimiter to Excel."""


@dataclass(frozen=True)
class Dialect:
    """How a delimited text is written."""

    delimiter: str
    """One character, or ``whitespace``."""
    skipped_lines: int
    """Blank lines and comments before the table."""
    rows: Sequence[Sequence[str]]
    """The first rows of the table, header included."""


def detect(head: str, *, complete: bool, delimiter: str | None) -> Dialect:
    """Return the dialect of a text that begins with ``head``.

    Raises:
        Refused: The first row is too long, has too many cells, or the delimiter is invalid.
    """
    skipped, table = _without_comments(head)
    if declared := SEPARATOR.match(table):
        delimiter = delimiter or declared[1]
        skipped, table = skipped + 1, table[declared.end() :]
    if not table.strip():
        raise Refused("empty", "The file is empty.")
    if not complete:
        if "\n" not in table:
            raise Refused(
                "too_many_columns", f"The first row is longer than {HEAD_CHARACTERS:,} characters, the maximum."
            )
        table = table[: table.rfind("\n") + 1]
    line = table.partition("\n")[0]
    if delimiter is not None:
        chosen = _valid(delimiter)
        rows = _rows(table, chosen)
    else:
        chosen, rows = _best(table)
    if not rows:
        raise Refused("unreadable", f"The first row cannot be read: {quoted(line)!r}")
    if len(rows[0]) > MAX_COLUMNS:
        raise Refused("too_many_columns", f"The file has {len(rows[0]):,} columns; at most {MAX_COLUMNS:,} work.")
    return Dialect(chosen, skipped, rows)


def _without_comments(head: str) -> tuple[int, str]:
    """Return the number of blank lines and comments at the beginning, and the text after them."""
    skipped, begin = 0, 0
    while begin < len(head):
        end = head.find("\n", begin) + 1 or len(head)
        line = head[begin:end].strip()
        if line and not line.startswith(COMMENTS):
            break
        skipped, begin = skipped + 1, end
    return skipped, head[begin:]


def _valid(delimiter: str) -> str:
    names = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}
    chosen = names.get(delimiter, delimiter)
    if chosen == WHITESPACE or (len(chosen) == 1 and chosen.isascii() and chosen not in '"\r\n\0'):
        return chosen
    message = f"The delimiter {quoted(delimiter)!r} does not work. Use one ASCII character, 'tab' or 'whitespace'."
    raise Refused("bad_delimiter", message, parameter="delimiter")


def _rows(table: str, delimiter: str) -> list[list[str]]:
    """Return the first rows, without blank ones, as far as they can be read."""
    if delimiter == WHITESPACE:
        lines = (line.strip().replace("\t", " ") for line in table.splitlines())
        table = "\n".join(line for _, line in zip(range(SAMPLED_ROWS), lines, strict=False) if line)
        return [[cell for cell in row if cell] for row in _parsed(table, " ")]
    return _parsed(table, delimiter)


def _parsed(table: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(table), delimiter=delimiter, skipinitialspace=True)
    rows: list[list[str]] = []
    with reading(f"The first row ({quoted(table.partition(chr(10))[0])!r})"):
        try:
            rows += itertools.islice((row for row in reader if row), SAMPLED_ROWS)
        except csv.Error:
            if not rows:
                raise
    return rows


def _best(table: str) -> tuple[str, list[list[str]]]:
    """Return the delimiter whose rows have the same length most often, the first included, then with most values."""
    scored = []
    for delimiter in DELIMITERS:
        rows = _rows(table, delimiter)
        if rows and max(map(len, rows)) > 1:
            scored.append((_consistency(rows), _values(rows), delimiter, rows))
    good = [one for one in scored if one[0] > 0.5]
    best = max(
        good or scored,
        key=lambda one: (round(one[0], 1), _is_usual(one[3]), one[1]),
        default=(0.0, 0.0, ",", []),
    )
    rows = _rows(table, WHITESPACE)
    if len(rows) > 1 and _consistency(rows) == 1 and (not good or _values(rows) > best[1]):
        return WHITESPACE, rows  # aligned by spaces, perhaps with a tab before the last column
    return best[2], best[3] or _rows(table, best[2])


def _consistency(rows: Sequence[Sequence[str]]) -> float:
    """Share of rows that have the most frequent length, 0 if that is 1."""
    length, count = Counter(map(len, rows)).most_common(1)[0]
    return count / len(rows) if length > 1 else 0.0


def _is_usual(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row has the most frequent length; a decimal comma splits all rows but the header."""
    return len(rows[0]) == Counter(map(len, rows)).most_common(1)[0][0]


def _values(rows: Sequence[Sequence[str]]) -> float:
    """Share of cells that are numbers, dates or missing."""
    cells = [cell.strip() for row in rows[:50] for cell in row]
    return sum(cell in TOKENS or is_value(cell) for cell in cells) / max(len(cells), 1)
