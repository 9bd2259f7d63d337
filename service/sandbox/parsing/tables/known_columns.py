"""Rows of known columns: from the cells of a file or a request to the blocks of a typed table that a model predicts.

Cells are read like those of an upload, but each column has the type and the levels that it has in the model's dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from service.sandbox.parsing.formats.raw_columns import RawColumn
from service.sandbox.parsing.options import ColumnType, KnownColumn, Options
from service.sandbox.parsing.refusals import Refused, quoted
from service.sandbox.parsing.sources import Values
from service.sandbox.parsing.tables.columns import CODED, MISSING, Column
from service.sandbox.parsing.types.dates import ORDERS
from service.sandbox.parsing.types.inference import typed
from service.sandbox.parsing.types.requests import Request

UNSEEN = -2
"""The code of a text that is not among a column's levels."""
EXPECTED: dict[str, str] = {
    "number": "a number",
    "date": "a date such as 2024-01-31",
    "boolean": "true or false",
    "category": "a text",
}


@dataclass(frozen=True, kw_only=True)
class KnownRows:
    """Rows in the layout of the model's dataset, and how they were read."""

    numbers: Values
    """Float64, (N, numbers and dates); NaN is missing."""
    codes: Values
    """Int32, (N, categories and booleans); ``MISSING`` or ``UNSEEN``."""
    missing: dict[str, int] = field(default_factory=dict)
    """Rows without a value, by column."""
    unseen: dict[str, int] = field(default_factory=dict)
    """Rows with a text that the training part lacks, by column."""
    notes: list[str] = field(default_factory=list)


def known_rows(raw: Mapping[str, RawColumn], columns: Sequence[KnownColumn], rows: int, request: Request) -> KnownRows:
    """Return the ``rows`` of a table; a column that is not in ``raw`` has no values.

    Raises:
        Refused: Cells are not of the column's type; lists the first of each column.
    """
    refusals = list[Refused]()
    values, missing, unseen, notes = list[Values](), dict[str, int](), dict[str, int](), list[str]()
    for known in columns:
        cells = np.full(rows, MISSING if known.type in CODED else np.nan)
        if known.used and known.name in raw:
            try:
                column = read_as(raw[known.name], known.type, styled(request, known))
            except Refused as refused:
                refusals.append(refused)
                continue
            cells = _codes(column, known) if known.type in CODED else column.values
            notes += [f"Column {known.name!r}: {note}" for note in column.notes]
        values.append(cells)
        if known.used:
            absent = int((cells == MISSING).sum() if known.type in CODED else np.isnan(cells).sum())
            missing |= {known.name: absent} if absent else {}
            new = int((cells == UNSEEN).sum())
            unseen |= {known.name: new} if known.type in CODED and new else {}
    if refusals:
        raise Refused.together(refusals)
    coded = [known.type in CODED for known in columns]
    numbers = [cells for cells, is_coded in zip(values, coded, strict=True) if not is_coded]
    codes = [cells for cells, is_coded in zip(values, coded, strict=True) if is_coded]
    return KnownRows(
        numbers=np.stack(numbers, 1).astype(np.float64) if numbers else np.empty((rows, 0)),
        codes=np.stack(codes, 1).astype(np.int32) if codes else np.empty((rows, 0), np.int32),
        missing=missing,
        unseen=unseen,
        notes=notes,
    )


def request_of(options: Options, *, comma_likely: bool = False) -> Request:
    """Return how cells are read; types are those of the columns."""
    return Request(missing=options.missing, decimal=options.decimal, comma_likely=comma_likely)


def styled(request: Request, known: KnownColumn) -> Request:
    """Return how the cells of a column are read: in the dataset's style, unless ``request`` has another."""
    decimal = request.decimal or ("," if known.decimal == "," else None)
    return replace(request, decimal=decimal, day_first=known.day_first)


def read_as(raw: RawColumn, kind: ColumnType, request: Request) -> Column:
    """Return a column of this type.

    Raises:
        Refused: A cell is not of this type.
    """
    try:
        return typed(raw, replace(request, type=kind))
    except Refused as refused:
        raise _refusal(raw.name, kind, request, refused) from refused


def _refusal(name: str, kind: ColumnType, request: Request, refused: Refused) -> Refused:
    """Return the refusal of a cell of another type."""
    if refused.row is None:
        return Refused(refused.code, refused.message, place=name, column=name)
    if refused.code == "not_finite":
        message = f"Column {name!r}, row {refused.row}: the number {refused.cell} is infinite. {_advice(refused.cell)}"
        return Refused("not_finite", message, place=name, row=refused.row, column=name, cell=refused.cell)
    expected = EXPECTED[kind] + _style(kind, request)
    message = f"Column {name!r}, row {refused.row}: {refused.cell!r} is not {expected}. {_advice(refused.cell)}"
    return Refused("wrong_type", message, place=name, row=refused.row, column=name, cell=refused.cell)


def _style(kind: ColumnType, request: Request) -> str:
    """Return the style that numbers or dates must have, for a message; empty without one."""
    if kind == "number" and request.decimal == ",":
        return " with a decimal comma; in a file, decimal=. reads points as decimal marks"
    if kind == "date" and request.day_first is not None:
        return f", or {ORDERS[request.day_first]} as in the model's dataset"
    return ""


def _advice(cell: str | None) -> str:
    token = "" if cell is None else f"; in a file, missing={quoted(cell)} reads this text as missing"
    return f"Send null or an empty cell if the value is missing{token}."


def _codes(column: Column, known: KnownColumn) -> Values:
    """Return the codes of the model's levels."""
    if known.type == "boolean":
        return column.values
    places = {level: i for i, level in enumerate(known.levels)}
    of_level = np.array([*(places.get(level, UNSEEN) for level in column.levels), MISSING], np.int32)
    codes: Values = of_level[column.values]
    return codes
