"""CSV and its relatives: streamed in blocks; columns of plain numbers become float64 at once, others codes of texts."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from service.sandbox.parsing.formats.column_builders import ColumnBuilder, gather
from service.sandbox.parsing.formats.dialects import HEAD_CHARACTERS, WHITESPACE, Dialect, detect
from service.sandbox.parsing.formats.headers import read_header
from service.sandbox.parsing.formats.raw_columns import RawColumn, RawTable
from service.sandbox.parsing.formats.text_streams import ChunkReader, TextFile
from service.sandbox.parsing.options import Limits, Options
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import check_size
from service.sandbox.parsing.tables.roles import types_of

BLOCK_BYTES = 2**23
"""Longest row."""
CODE_BYTES = 4
"""Of a cell in memory, at least."""
QUOTED_OR_SPACES = re.compile(rb'"[^"\n]*"|[ \t]+')


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the rows of a text are written."""

    names: Sequence[str]
    delimiter: str = ","
    """One character, or ``whitespace``."""
    skipped_lines: int = 0
    """Lines before the table."""
    has_header: bool = False
    quote: str = '"'
    escape: str | None = None


def table_of(text: TextFile, options: Options, limits: Limits) -> RawTable:
    """Return the table in a delimited text.

    Raises:
        Refused: Rows differ in length, or the table has no rows, or too many columns.
    """
    dialect = _dialect(text, options)
    notes = [text.note] if text.note else []
    names, header = read_header(dialect.rows, options.header, notes)
    if header and text.lines - dialect.skipped_lines < 2:  # the first row has no line end
        raise Refused("empty", "The file has no rows below its header.")
    if dialect.delimiter != ",":
        notes.append(f"The delimiter is {_named(dialect.delimiter)}.")
    layout = Layout(names=names, delimiter=dialect.delimiter, skipped_lines=dialect.skipped_lines, has_header=header)
    texts = {name for name, kind in types_of(options, names).items() if kind != "number"}
    columns = read_columns(text, layout, options, limits, texts=texts)
    return RawTable("csv", columns, notes, decimal_comma=dialect.delimiter == ";")


def read_columns(
    text: TextFile, layout: Layout, options: Options, limits: Limits, *, texts: Collection[str]
) -> list[RawColumn]:
    """Return the columns of a text with this layout; those named in ``texts`` are never numbers.

    Raises:
        Refused: Rows differ in length, or the table has no rows.
    """
    reader = _Reader(text, layout, limits)
    return gather(layout.names, reader.read, options, rows=text.lines, texts=texts)


def _named(delimiter: str) -> str:
    return {"\t": "the tab", WHITESPACE: "any run of spaces and tabs"}.get(delimiter, repr(delimiter))


def _dialect(text: TextFile, options: Options) -> Dialect:
    head, complete = b"", True
    for chunk in text.chunks():
        head += chunk
        if len(head) > 4 * HEAD_CHARACTERS:
            complete = False
            break
    decoded = head.decode(errors="ignore").replace("\r\n", "\n")
    complete &= len(decoded) <= HEAD_CHARACTERS
    return detect(decoded[:HEAD_CHARACTERS], complete=complete, delimiter=options.delimiter)


class _Reader:
    """Reads the columns of a text whose layout is known."""

    def __init__(self, text: TextFile, layout: Layout, limits: Limits) -> None:
        self._text, self._layout, self._limits = text, layout, limits
        self._invalid: list[Any] = []

    def read(self, builders: dict[str, ColumnBuilder]) -> None:
        """Append the blocks of the columns to ``builders``."""
        rows = 0
        stream = pa.PythonFile(ChunkReader(self._chunks()), mode="r")
        form = self._form(list(builders))
        with reading("The text file"), _clear_errors(), arrow_csv.open_csv(stream, **form) as blocks:
            for block in blocks:
                rows += block.num_rows
                check_size(rows * CODE_BYTES * len(self._layout.names), self._limits.dataset_bytes)
                for name, column in zip(builders, block.columns, strict=True):
                    builders[name].append(column)
                self._check_rows()
        self._check_rows()
        if not rows:
            raise Refused("empty", "The file has no rows.")

    def _form(self, included: list[str]) -> dict[str, Any]:
        layout = self._layout
        return {
            "read_options": arrow_csv.ReadOptions(
                use_threads=False,
                block_size=BLOCK_BYTES,
                column_names=list(layout.names),
                skip_rows_after_names=int(layout.has_header),
            ),
            "parse_options": arrow_csv.ParseOptions(
                delimiter="\t" if layout.delimiter == WHITESPACE else layout.delimiter,
                quote_char=layout.quote,
                escape_char=layout.escape or False,
                newlines_in_values=True,
                invalid_row_handler=self._note_invalid,
            ),
            "convert_options": arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(included, pa.string()),
                include_columns=included,
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
            ),
        }

    def _note_invalid(self, row: Any) -> str:
        if not self._invalid:
            self._invalid.append(row)
        return "skip"

    def _check_rows(self) -> None:
        """Check that all rows so far have as many cells as there are columns."""
        layout = self._layout
        for row in self._invalid:
            number = f"row {row.number - layout.has_header}"
            message = (
                f"The rows have different numbers of cells: {number} has {row.actual_columns:,} instead of "
                f"{row.expected_columns:,}, in {quoted(row.text)!r}. Quote cells that contain the delimiter "
                f"{_named(self._layout.delimiter)}, or pass another delimiter."
            )
            raise Refused(
                "ragged_rows", message, place=number, row=row.number - layout.has_header, parameter="delimiter"
            )

    def _chunks(self) -> Iterator[bytes]:
        """Yield the table as UTF-8, without the lines before it."""
        chunks = _without_lines(self._text.chunks(), self._layout.skipped_lines)
        return _tabbed(chunks) if self._layout.delimiter == WHITESPACE else chunks


def _without_lines(chunks: Iterator[bytes], lines: int) -> Iterator[bytes]:
    """Yield the bytes after this many lines."""
    for chunk in chunks:
        rest = chunk
        while lines and b"\n" in rest:
            rest, lines = rest[rest.find(b"\n") + 1 :], lines - 1
        if not lines:
            yield rest
            yield from chunks


def _tabbed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines whose runs of spaces and tabs are one tab each, outside of quotation marks."""
    rest = b""
    for chunk in itertools.chain(chunks, [b"\n"]):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield b"".join(_tabbed_line(line) + b"\n" for line in whole.split(b"\n"))


def _tabbed_line(line: bytes) -> bytes:
    return QUOTED_OR_SPACES.sub(lambda m: m[0] if m[0].startswith(b'"') else b"\t", line.strip())


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    """Replace the library's errors about malformed rows by clear ones."""
    try:
        yield
    except pa.ArrowInvalid as error:
        if "straddling" in str(error):
            message = f"A row is longer than {BLOCK_BYTES:,} bytes; perhaps a quotation mark is not closed."
            raise Refused("row_too_long", message) from error
        if "Empty CSV file" in str(error):
            raise Refused("empty", "The file has no rows.") from error
        raise
