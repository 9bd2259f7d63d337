"""Header rows: whether the first row names the columns, and names that tell columns apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from service.sandbox.parsing.refusals import Refused, quoted
from service.sandbox.parsing.sources import check_names
from service.sandbox.parsing.types.missing import TOKENS

NUMBER = re.compile(r"^\(?[+\-−]?[$€£¥]?[+\-−]?(?:\d[\d.,'  ]*|[.,]\d+)(?:[eE][+\-]?\d+)?\s?(?:[KkMBb]|%|[$€£¥])?\)?$")
YEAR = re.compile(r"^[12]\d{3}$")
DATE = re.compile(r"^\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?(?:[T ]\d{1,2}:\d{2}.*)?$")


def is_value(cell: str) -> bool:
    """Return whether a cell is a number or a date, so that it is hardly a name."""
    return bool(NUMBER.match(cell) or DATE.match(cell))


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row names the columns of the others.

    A text above numbers is a name. Without any, a number above numbers is a value, and so is a text that recurs below.
    """
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if first == [str(i) for i in range(len(first))] or _are_years(first, rest):
        return True
    above_numbers = values = repeats = 0
    for i, name in enumerate(first):
        below = [row[i].strip() for row in rest if i < len(row)]
        if name in TOKENS:
            continue
        if is_value(name):
            values += 1
        elif _all_values(below):
            above_numbers += 1
        else:
            repeats += name in below
    return bool(above_numbers) or not (values or repeats)


def _are_years(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Return whether the numbers of the first row are consecutive years, above other numbers."""
    places = [i for i, cell in enumerate(first) if is_value(cell)]
    years = [int(first[i]) if YEAR.match(first[i]) else 0 for i in places]
    if len(years) < 2 or years != list(range(years[0], years[0] + len(years))) or not years[0]:
        return False
    return not all(YEAR.match(row[i].strip()) for row in rest for i in places if i < len(row))


def read_header(rows: Sequence[Sequence[str]], requested: bool | None, notes: list[str]) -> tuple[list[str], bool]:
    """Return the names of the columns of a table with these first rows, and whether the first row has them.

    Raises:
        Refused: A title or a second header row is part of the table, or a name cannot be used.
    """
    header = has_header(rows) if requested is None else requested
    if header:
        if requested is None:
            _check_head(rows)
        return names_of(rows[0], notes), True
    if requested is None:
        notes.append(
            "The first row counts as data, and the columns are named 0, 1, 2 …; header=true reads it as names."
        )
    return [str(i) for i in range(len(rows[0]))], False


def _check_head(rows: Sequence[Sequence[str]]) -> None:
    """Check that the table begins with its header, and has no other."""
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    if len(rows) > 2 and filled[0] == 1 and min(filled[1:3]) > 1:
        title = next(cell for cell in rows[0] if cell.strip())
        message = (
            f"The first row has one cell, {quoted(title)!r}, and the rows below have more, so it is not a header. "
            "Remove the rows above the header, or begin them with #."
        )
        raise Refused("no_header", message, place="row 1")
    if len(rows) < 4:
        return
    second = [cell.strip() for cell in rows[1]]
    columns = [[row[i].strip() for row in rows[2:] if i < len(row)] for i in range(len(second))]
    numeric = [i for i, below in enumerate(columns) if _all_values(below)]
    words = [second[i] for i in numeric if second[i] not in TOKENS and not is_value(second[i])]
    if words and 2 * len(words) >= len(numeric):
        message = (
            f"The first two rows are both headers: the second has {quoted(words[0])!r} above numbers. Keep one header "
            "row; header=true reads the second row as data."
        )
        raise Refused("several_headers", message, place="row 2", parameter="header")


def _all_values(cells: Sequence[str]) -> bool:
    present = [cell for cell in cells if cell not in TOKENS]
    return bool(present) and all(is_value(cell) for cell in present)


def names_of(first: Sequence[str], notes: list[str]) -> list[str]:
    """Return a name for each cell of a header row, different from those of all others.

    Raises:
        Refused: A name is too long or contains control characters.
    """
    originals = [" ".join(cell.split()) for cell in first]
    names: list[str] = []
    used, unavailable, repeats = set[str](), set(originals), Counter[str]()
    for i, original in enumerate(originals):
        name = original or f"column {i + 1}"
        if name in used or (not original and name in unavailable):
            name = _numbered(name, unavailable, repeats)
        used.add(name)
        unavailable.add(name)
        names.append(name)
    check_names(names, "column")
    _note(originals, names, notes)
    return names


def _numbered(name: str, unavailable: set[str], repeats: Counter[str]) -> str:
    """Return the name with the next number that makes it different from all others."""
    while True:
        repeats[name] += 1
        if (numbered := f"{name} ({repeats[name] + 1})") not in unavailable:
            return numbered


def _note(originals: Sequence[str], names: Sequence[str], notes: list[str]) -> None:
    renamed = [name for name, original in zip(names, originals, strict=True) if original and name != original]
    unnamed = [name for name, original in zip(names, originals, strict=True) if not original]
    if unnamed:
        notes.append(f"Columns without a name were named {_listed(unnamed)}.")
    if renamed:
        notes.append(f"Repeated names were numbered: {_listed(renamed)}.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(quoted(name)) for name in names[:10]) + (", …" if len(names) > 10 else "")
