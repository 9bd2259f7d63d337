"""Header rows: whether the first row names the columns, and names that tell columns apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.sandbox.parsing.missing import TOKENS
from service.sandbox.parsing.refusals import Refused, quoted
from service.sandbox.parsing.sources import check_names

NUMBER = re.compile(r"^\(?[+\-−]?[$€£¥]?[+\-−]?(?:\d[\d.,'  ]*|[.,]\d+)(?:[eE][+\-]?\d+)?\s?(?:[KkMBb]|%|[$€£¥])?\)?$")
DATE = re.compile(r"^\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?(?:[T ]\d{1,2}:\d{2}.*)?$")


def is_value(cell: str) -> bool:
    """Return whether a cell is a number or a date, so that it is hardly a name."""
    return bool(NUMBER.match(cell) or DATE.match(cell))


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row names the columns of the others.

    A text above numbers is a name. Without any, a number above numbers is a value, and so is a text that recurs below.
    """
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if first == [str(i) for i in range(len(first))]:
        return True
    above_numbers = values = repeats = 0
    for i, name in enumerate(first):
        below = [row[i].strip() for row in rest if i < len(row)]
        below = [cell for cell in below if cell not in TOKENS]
        if name in TOKENS:
            continue
        if is_value(name):
            values += 1
        elif below and all(is_value(cell) for cell in below):
            above_numbers += 1
        else:
            repeats += name in below
    return bool(above_numbers) or not (values or repeats)


def names_of(first: Sequence[str], notes: list[str]) -> tuple[list[str], list[str]]:
    """Return a name for each cell of a header row that no other has, and the names in the file.

    Raises:
        Refused: A name is too long or contains control characters.
    """
    originals = [" ".join(cell.split()) for cell in first]
    unique: list[str] = []
    used = set(originals)
    for i, original in enumerate(originals):
        name = original or f"column {i + 1}"
        if name in unique or (not original and name in used):
            name = next(f"{name} ({k})" for k in range(2, len(first) + 2) if f"{name} ({k})" not in used)
        used.add(name)
        unique.append(name)
    check_names(unique, "column")
    _note(originals, unique, notes)
    return unique, originals


def _note(originals: Sequence[str], names: Sequence[str], notes: list[str]) -> None:
    renamed = [name for name, original in zip(names, originals, strict=True) if original and name != original]
    unnamed = [name for name, original in zip(names, originals, strict=True) if not original]
    if unnamed:
        notes.append(f"Columns without a name were named {_listed(unnamed)}.")
    if renamed:
        notes.append(f"Repeated names were numbered: {_listed(renamed)}.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(quoted(name)) for name in names[:10]) + (", …" if len(names) > 10 else "")


def positions(names: Sequence[str], originals: Sequence[str], request: str) -> list[int]:
    """Return the positions of the columns that ``request`` means: a name, a repeated name, or a number from 1.

    Raises:
        Refused: No column has this name or number.
    """
    exact = [i for i, (name, original) in enumerate(zip(names, originals, strict=True)) if request in (name, original)]
    if exact and request:
        return exact
    if request.isascii() and request.isdigit() and 1 <= int(request[:9]) <= len(names):
        return [int(request) - 1]
    message = f"Unknown column {quoted(request)!r}. The columns are {_listed(names)}."
    raise Refused("no_such_column", message, allowed=names)
