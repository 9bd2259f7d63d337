"""Excel workbooks: the sheet's extent is checked before a library allocates memory for it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

import python_calamine as calamine

from service.sandbox.parsing.formats.cell_columns import Cell, CellColumn, text_of
from service.sandbox.parsing.formats.dialects import SAMPLED_ROWS
from service.sandbox.parsing.formats.headers import read_header
from service.sandbox.parsing.formats.packed_files import CHUNK_BYTES, UNPACKED, Bytes
from service.sandbox.parsing.formats.raw_columns import RawTable
from service.sandbox.parsing.images.archives import files_in, opened, stream
from service.sandbox.parsing.options import Limits, Options
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import MAX_COLUMNS, check_size

SHEETS = "xl/worksheets/"
CELL = re.compile(rb'<(?:\w+:)?c\s(?:[^<>]{0,200}\s)?r="([A-Z]{1,3})(\d{1,7})"(?:[^<>]{0,200}[^<>/])?>')
"""A cell with content, and its place."""
CELL_BYTES = 32
"""Of a cell in the library's memory; it allocates the whole rectangle that has cells."""
BLOCK_ROWS = 4096
NUMBER_BYTES = 8


def table_of(content: Bytes, options: Options, limits: Limits) -> RawTable:
    """Return the table in the only sheet that has cells, or the one that ``options`` name.

    Raises:
        Refused: The workbook is encrypted, damaged, too large, or has several sheets with cells.
    """
    with content.seekable() as file:
        _check_extent(file, limits)
        file.seek(0)
        with reading("The workbook"):
            sheet = _sheet(_workbook(file), options.sheet)
            return _table(sheet, options, limits)


def _workbook(file: object) -> calamine.CalamineWorkbook:
    try:
        return calamine.CalamineWorkbook.from_filelike(file)  # type: ignore[arg-type]
    except calamine.PasswordError as error:
        raise Refused("encrypted", "The workbook is encrypted. Save it without a password.") from error


def _check_extent(file: object, limits: Limits) -> None:
    """Check the zip file, and that the rectangles with cells fit into memory."""
    with opened(file) as archive:  # type: ignore[arg-type]
        for entry in files_in(archive, most_bytes=UNPACKED * limits.dataset_bytes):
            if entry.filename.startswith(SHEETS) and entry.filename.endswith(".xml"):
                with stream(archive, entry) as sheet:
                    rows, columns = _extent(iter(lambda: sheet.read(CHUNK_BYTES), b""))
                if columns > MAX_COLUMNS:
                    message = f"A sheet has cells in column {columns:,}; at most {MAX_COLUMNS:,} columns work."
                    raise Refused("too_many_columns", message)
                if rows * columns * CELL_BYTES > limits.memory_bytes:
                    message = (
                        f"A sheet has cells in row {rows:,} and in column {columns:,}, and all "
                        f"{rows * columns:,} cells of this rectangle would be in memory. Save the sheet as CSV."
                    )
                    raise Refused("too_large", message)


def _extent(chunks: Iterator[bytes]) -> tuple[int, int]:
    """Return the last row and the last column that have cells with content."""
    rows, columns, rest = 0, b"", b""
    for chunk in chunks:
        text = rest + chunk
        for column, row in CELL.findall(text):
            rows = max(rows, int(row))
            if (len(column), column) > (len(columns), columns):
                columns = column
        rest = text[text.rfind(b"<") :]
    number = 0
    for letter in columns:
        number = 26 * number + letter - ord("A") + 1
    return rows, number


def _sheet(workbook: calamine.CalamineWorkbook, requested: str | None) -> calamine.CalamineSheet:
    names = workbook.sheet_names
    if requested is not None:
        if requested not in names:
            message = f"The workbook has no sheet {quoted(requested)!r}. Its sheets are {_listed(names)}."
            raise Refused("no_such_sheet", message, allowed=names, parameter="sheet")
        return workbook.get_sheet_by_name(requested)
    visible = [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible == calamine.SheetVisibleEnum.Visible and sheet.typ == calamine.SheetTypeEnum.WorkSheet
    ]
    filled = [name for name in visible if workbook.get_sheet_by_name(name).start is not None]
    if not filled:
        raise Refused("empty", "The workbook has no visible sheet with cells.")
    if len(filled) > 1:
        message = f"The workbook has {len(filled)} sheets with cells: {_listed(filled)}. Choose one with sheet=NAME."
        raise Refused("several_tables", message, allowed=filled, parameter="sheet")
    return workbook.get_sheet_by_name(filled[0])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(quoted(name)) for name in names[:10]) + (", …" if len(names) > 10 else "")


def _table(sheet: calamine.CalamineSheet, options: Options, limits: Limits) -> RawTable:
    if sheet.width > MAX_COLUMNS:
        raise Refused("too_many_columns", f"The sheet has {sheet.width:,} columns; at most {MAX_COLUMNS:,} work.")
    check_size(sheet.height * sheet.width * NUMBER_BYTES, limits.dataset_bytes)
    rows = (row for row in sheet.iter_rows() if any(cell != "" for cell in row))
    first = list(itertools.islice(rows, SAMPLED_ROWS))
    if not first:
        raise Refused("empty", "The sheet has no cells.")
    notes = [f"The table is the sheet {quoted(sheet.name)!r}."]
    names, header = read_header([[text_of(cell) for cell in row] for row in first], options.header, notes)
    columns = [CellColumn() for _ in names]
    count = 0
    for block in _blocks(itertools.chain(first[header:], rows)):
        count += len(block)
        for column, cells in zip(columns, zip(*block, strict=True), strict=True):
            column.append(cells)
    if not count:
        raise Refused("empty", "The sheet has no rows below its header.")
    return RawTable("xlsx", [column.column(name) for column, name in zip(columns, names, strict=True)], notes)


def _blocks(rows: Iterator[list[Cell]]) -> Iterator[list[list[Cell]]]:
    while block := list(itertools.islice(rows, BLOCK_ROWS)):
        yield block
