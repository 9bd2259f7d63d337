"""Rows of a typed table in a request: JSON objects with the columns of the model's dataset.

Texts are read by the parser of uploads. It needs pyarrow, so this module is imported when it is first used.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from service.sandbox.parsing.formats.raw_columns import Numbers, RawColumn, Texts
from service.sandbox.parsing.options import KnownColumn, Options
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.tables.known_columns import EXPECTED, known_rows, read_as, request_of, styled
from service.sandbox.parsing.types.cells import EXACT
from service.sandbox.parsing.types.requests import Request
from service.sandbox.predicting.loaded_models import OrderRefused
from service.sandbox.predicting.messages import InvalidValue, TableNotes
from worker.spec.tables.fitted import Fitted
from worker.spec.tables.rows import TableRows

Row = Mapping[str, Any]
MAX_ERRORS = 20
"""Errors reported at most."""
MAX_NAMES = 100
"""Columns that an error lists."""


def table_rows(inputs: Sequence[Any], table: Fitted, missing: tuple[str, ...] = ()) -> tuple[TableRows, TableNotes]:
    """Return rows with the columns of ``table``, and how they were read.

    A row is an object, or a list of the values of all columns in order. A missing key, null, and the texts and numbers
    in ``missing`` are missing values. Texts in columns of numbers or dates are read like those of a file.

    Raises:
        OrderRefused: A row is not an object, or has unknown columns or values of another type.
    """
    inputs, request = _named(inputs, table), request_of(Options(missing=missing))
    _check_rows(inputs, table)
    columns = known_columns(table)
    raw, errors = dict[str, RawColumn](), list[InvalidValue]()
    for column in columns:
        if column.used:
            one, wrong = _raw(column, inputs, request)
            raw[column.name] = one
            errors += wrong
    _refuse(errors)
    try:
        rows = known_rows(raw, columns, len(inputs), request)
    except Refused as refused:
        raise _refused(_invalid(one) for one in (refused, *refused.others)) from refused
    notes = TableNotes(missing=rows.missing, unseen=rows.unseen, notes=tuple(rows.notes))
    return TableRows(table.schema, rows.numbers, rows.codes), notes


def _named(inputs: Sequence[Any], table: Fitted) -> list[Any]:
    """Return rows that are lists as objects, if they have a value for every column."""
    names = [column.name for column in table.schema.columns]
    return [
        dict(zip(names, row, strict=True)) if isinstance(row, list) and len(row) == len(names) else row
        for row in inputs
    ]


def known_columns(table: Fitted) -> list[KnownColumn]:
    """Return the columns of ``table`` for the reader of cells."""
    used = {column.name for column in table.columns.used(table.schema)}
    return [
        KnownColumn(
            name=one.name,
            type=one.type,
            levels=one.levels,
            decimal=one.decimal,
            day_first=one.day_first,
            used=one.name in used,
        )
        for one in table.schema.columns
    ]


def _check_rows(inputs: Sequence[Any], table: Fitted) -> None:
    """Refuse rows that are not objects of known columns."""
    known = [column.name for column in table.schema.columns]
    used = {column.name for column in table.columns.used(table.schema)}
    names = tuple(known[:MAX_NAMES])
    errors = list[InvalidValue]()
    for i, row in enumerate(inputs):
        if not isinstance(row, dict):
            example = "{" + ", ".join(f'"{name}": …' for name in known[:3]) + ("}" if len(known) < 4 else ", …}")
            message = (
                f"Row {i + 1} must be an object with the columns of the table, such as {example}, or a list of the "
                f"{len(known)} values in this order: {_listed(known)}."
            )
            errors.append(InvalidValue(place=f"/{i}", code="no_object", message=message, allowed=names, row=i + 1))
        else:
            errors += [_unknown(i, name, known) for name in row if name not in table.schema.by_name]
            if not errors and used.isdisjoint(row):
                message = f"Row {i + 1} has none of the model's columns: {_listed(known)}."
                errors.append(InvalidValue(place=f"/{i}", code="no_column", message=message, allowed=names, row=i + 1))
        _refuse(errors if len(errors) >= MAX_ERRORS else ())
    _refuse(errors)


def _unknown(i: int, name: str, known: Sequence[str]) -> InvalidValue:
    close = difflib.get_close_matches(name, known, 1)
    hint = f"Did you mean {close[0]!r}?" if close else f"The columns are {_listed(known)}."
    message = f"Row {i + 1}: unknown column {_excerpt(name)}. {hint}"
    allowed = tuple(known[:MAX_NAMES])
    return InvalidValue(place=_pointer(i, name), code="no_such_column", message=message, allowed=allowed, row=i + 1)


def _raw(column: KnownColumn, inputs: Sequence[Row], request: Request) -> tuple[RawColumn, list[InvalidValue]]:
    """Return the cells of a column, and those that are neither texts, numbers nor truth values."""
    errors, cells = list[InvalidValue](), list[Any]()
    for i, row in enumerate(inputs):
        value = row.get(column.name)
        is_truth = isinstance(value, bool)
        fits = value is None or isinstance(value, str) or (is_truth and column.type in ("boolean", "category"))
        if not fits and (is_truth or not isinstance(value, int | float) or not _finite(value)):
            errors.append(_wrong(i, column, value))
            if len(errors) == MAX_ERRORS:
                break
        cells.append(value)
    if errors:
        cells = []
    if column.type == "number":
        return _numbers(cells, errors, column, request), errors
    return RawColumn(column.name, _texts([_text(cell) for cell in cells])), errors


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        return False


def _wrong(i: int, column: KnownColumn, value: Any) -> InvalidValue:

    message = f"Column {column.name!r}, row {i + 1}: {_excerpt(value)} is not {EXPECTED[column.type]}."
    place = {"row": i + 1, "column": column.name}
    return InvalidValue(place=_pointer(i, column.name), code="wrong_type", message=message, **place)


def _numbers(cells: Sequence[Any], errors: list[InvalidValue], column: KnownColumn, request: Request) -> RawColumn:
    """Return a column of numbers; texts among them are read by themselves, as numbers in JSON have no style."""
    numbers = np.array([np.nan if cell is None or isinstance(cell, str) else float(cell) for cell in cells], float)
    if not any(isinstance(cell, str) for cell in cells):
        return RawColumn(column.name, Numbers(numbers))
    texts = RawColumn(column.name, _texts([cell if isinstance(cell, str) else None for cell in cells]))
    try:
        read = read_as(texts, "number", styled(request, column))
    except Refused as refused:
        errors.append(_invalid(refused))
        return texts
    return RawColumn(
        column.name, Numbers(np.where(np.isnan(numbers), read.values, numbers)), notes=list(dict.fromkeys(read.notes))
    )


def _text(cell: Any) -> str | None:
    """Return a value as a file would have it."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(int(cell)) if float(cell).is_integer() and abs(cell) < EXACT else repr(cell)


def _texts(cells: Sequence[str | None]) -> Texts:

    different = {text: i for i, text in enumerate(dict.fromkeys(cell for cell in cells if cell is not None))}
    codes = np.array([-1 if cell is None else different[cell] for cell in cells], np.int32)
    return Texts(codes, pa.array(_encodable(different), pa.string()))


def _encodable(texts: Iterable[str]) -> list[str]:
    """Return texts without half surrogate pairs, which JSON can contain and UTF-8 cannot."""
    return [text.encode(errors="replace").decode() for text in texts]


def _invalid(refused: Refused) -> InvalidValue:
    """Return a refusal of the reader with its place in the request."""
    place = {"row": refused.row, "column": refused.column, "cell": refused.cell}
    return InvalidValue(
        place=_pointer((refused.row or 1) - 1, refused.place), code=refused.code, message=refused.message, **place
    )


def _refuse(errors: Sequence[InvalidValue]) -> None:
    if errors:
        raise _refused(errors)


def _refused(errors: Iterable[InvalidValue]) -> OrderRefused:
    listed = list(errors)[:MAX_ERRORS]
    return OrderRefused("bad_rows", listed[0].message, errors=listed)


def _pointer(i: int, name: str) -> str:
    return f"/{i}/{name.replace('~', '~0').replace('/', '~1')}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:20])) + (", …" if len(names) > 20 else "")


def _excerpt(value: Any) -> str:
    """Return a value as text for a message, shortened."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= EXACT:
        return "a number so large"  # Python refuses to format thousands of digits
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 40 else f"{text[:37]}…"
