"""From a file to a typed table: the format's reader gives raw columns, whose types are then decided alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from service.sandbox.parsing import arrow_columns, delimited_files, parquet_files
from service.sandbox.parsing.columns import Column, Table
from service.sandbox.parsing.headers import positions
from service.sandbox.parsing.options import Format, Options, Reading
from service.sandbox.parsing.raw_columns import RawColumn, RawTable
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.sources import check_size
from service.sandbox.parsing.text_streams import GZIP, Opener, gzip_opener, text_file
from service.sandbox.parsing.type_inference import Request, typed

NUMBER_BYTES = 8


def read_table(body: Path, form: Format, reading: Reading) -> Table:
    """Return the table in a file, each column with the type that ``reading.options`` or its values say.

    Raises:
        Refused: The file is not a table of this format, or columns cannot be read.
    """
    raw = READERS[form](body, reading)
    options, names = reading.options, [column.name for column in raw.columns]
    rows = len(raw.columns[0].cells.codes if hasattr(raw.columns[0].cells, "codes") else raw.columns[0].cells.values)
    check_size(rows * NUMBER_BYTES * len(names), reading.limits.dataset_bytes)
    for place, requested in (("drop", options.drop), ("types", tuple(options.types))):
        for name in requested:
            _check_column(names, name, place)
    columns = _typed(raw, target_of(names, options), options)
    return Table(format=raw.format, columns=columns, notes=raw.notes)


def target_of(names: Sequence[str], options: Options) -> str:
    """Return the name of the target: as requested, or the last column that is not dropped."""
    if options.target is not None:
        return names[_check_column(names, options.target, "target")[0]]
    dropped = {i for name in options.drop for i in positions(names, names, name)}
    return next((names[i] for i in reversed(range(len(names))) if i not in dropped), "")


def _check_column(names: Sequence[str], name: str, place: str) -> list[int]:
    try:
        return positions(names, names, name)
    except Refused as refused:
        raise Refused(refused.code, refused.message, place=place, allowed=names) from refused


def _typed(raw: RawTable, target: str, options: Options) -> list[Column]:
    """Return the typed columns.

    Raises:
        Refused: Columns cannot be read; the message names all of them.
    """
    columns, refusals = [], []
    for column in _released(raw.columns):
        request = Request.of(column.name, target, options, comma_likely=raw.decimal_comma)
        try:
            columns.append(typed(column, request))
        except Refused as refused:
            refusals.append(refused)
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        places = ", ".join(repr(refused.place) for refused in refusals[:20])
        message = f"{len(refusals)} columns cannot be read: {places}. {' '.join(one.message for one in refusals[:3])}"
        raise Refused(refusals[0].code, message, place=refusals[0].place)
    return columns


def _released(columns: list[RawColumn]) -> Iterator[RawColumn]:
    """Yield the columns from first to last, and remove each from the list, to free its memory."""
    columns.reverse()
    while columns:
        yield columns.pop()


def _csv(body: Path, reading: Reading) -> RawTable:
    with body.open("rb") as file:
        packed = file.read(2) == GZIP
    opener: Opener = gzip_opener(str(body)) if packed else lambda: body.open("rb")
    text = text_file(opener, reading.options.encoding)
    return delimited_files.table_of(text, reading.options, reading.limits)


def _parquet(body: Path, reading: Reading) -> RawTable:
    return arrow_columns.table_of(parquet_files.table_of(body, reading.limits), "parquet")


READERS: dict[Format, Callable[[Path, Reading], RawTable]] = {"csv": _csv, "parquet": _parquet}
