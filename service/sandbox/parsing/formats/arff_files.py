"""Weka's ARFF: declared columns, whose rows are CSV, or quoted and sparse in ways that only liac-arff reads.

The header is read here, since liac-arff knows no dates and no tabs, and backtracks in long lists of values. Its tokens
of rows, and its sparse rows, are those of Weka.

Reference: https://waikato.github.io/weka-wiki/formats_and_processing/arff_stable/
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import arff
import pyarrow as pa

from service.sandbox.parsing.formats.column_builders import ColumnBuilder, gather
from service.sandbox.parsing.formats.delimited_files import CODE_BYTES, Layout, read_columns
from service.sandbox.parsing.formats.headers import names_of
from service.sandbox.parsing.formats.raw_columns import RawColumn, RawTable
from service.sandbox.parsing.formats.text_streams import ChunkReader, TextFile
from service.sandbox.parsing.options import ColumnType, Limits, Options
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import MAX_COLUMNS, check_size
from service.sandbox.parsing.tables.roles import types_of

ATTRIBUTE = re.compile(
    r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{]+)\s*(.*)$""", re.IGNORECASE | re.DOTALL
)
TYPES: dict[str, ColumnType | None] = {
    "numeric": "number",
    "real": "number",
    "integer": "number",
    "date": "date",
    "string": None,
}
SPECIAL = re.compile(rb"""["'\\]|^\s*[{%]""", re.MULTILINE)
"""Quotation marks, sparse rows and comments, which are not CSV."""
BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Attribute:
    """A declared column."""

    name: str
    type: ColumnType | None
    first: str = ""
    """Value of rows that leave it out, in a sparse file."""


def table_of(text: TextFile, options: Options, limits: Limits) -> RawTable:
    """Return the table in an ARFF file.

    Raises:
        Refused: A declaration or a row cannot be read.
    """
    with _lines(text) as lines:
        attributes, skipped = _header(lines)
    notes = [text.note] if text.note else []
    names = names_of([attribute.name for attribute in attributes], notes)
    declared = {name: one.type for name, one in zip(names, attributes, strict=True)}
    types = {**declared, **types_of(options, names)}
    texts = {name for name, kind in types.items() if kind not in (None, "number")}
    if _is_plain(text, skipped):
        columns = read_columns(text, Layout(names=names, skipped_lines=skipped), options, limits, texts=texts)
    else:
        rows = _Rows(text, skipped, attributes, limits)
        columns = gather(names, rows.read, options, rows=text.lines, texts=texts)
    _declare(columns, types)
    return RawTable("arff", columns, notes)


def _declare(columns: Sequence[RawColumn], types: dict[str, ColumnType | None]) -> None:
    for column in columns:
        column.declared = types[column.name]


def _lines(text: TextFile) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(ChunkReader(text.chunks())), encoding="utf-8")


def _header(lines: Iterator[str]) -> tuple[list[Attribute], int]:
    """Return the declared columns, and the number of lines up to the data."""
    attributes: list[Attribute] = []
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        keyword = line[:10].lower()
        if keyword.startswith("@data"):
            if not attributes:
                raise Refused("empty", "The ARFF file declares no attributes.")
            return attributes, number
        if keyword == "@attribute":
            attributes.append(_attribute(line, number))
        if len(attributes) > MAX_COLUMNS:
            raise Refused("too_many_columns", f"The file has more than {MAX_COLUMNS:,} columns, the maximum.")
    raise Refused("unreadable", "The ARFF file has no line @data.")


def _attribute(line: str, number: int) -> Attribute:
    """Parse a declaration.

    Raises:
        Refused: It is malformed, or of a type without single values.
    """
    match = ATTRIBUTE.match(line)
    if match is None:
        raise Refused(
            "unreadable",
            f"Line {number} of the ARFF file is not an attribute: {quoted(line)!r}.",
            place=f"line {number}",
        )
    name, declared = _unquoted(match[1]), match[2].strip()
    if declared.startswith("{"):
        return Attribute(name, "category", _unquoted(declared[1:].partition(",")[0].rstrip("}").strip()))
    kind = re.split(r"[\s\[]", declared, maxsplit=1)[0].lower()
    if kind not in TYPES:
        message = (
            f"Line {number} of the ARFF file declares {quoted(name)!r} as {quoted(declared)!r}. Types that work are "
            "numeric, integer, real, string, date and a list of values in braces."
        )
        raise Refused("wrong_dtype", message, place=f"line {number}", column=quoted(name))
    return Attribute(name, TYPES[kind], "0" if TYPES[kind] == "number" else "")


def _unquoted(text: str) -> str:
    if text[:1] in ("'", '"') and text[-1:] == text[:1]:
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _is_plain(text: TextFile, skipped: int) -> bool:
    """Return whether all rows are CSV without quotation marks."""
    chunks = text.chunks()
    with _lines(text) as lines:
        for _ in itertools.islice(lines, skipped):
            continue
        chunks = iter(lambda: lines.read(2**20).encode(), b"")
        return not any(SPECIAL.search(chunk) for chunk in chunks)


def _block(rows: Iterator[Any], count: int) -> list[Any]:
    """Return the next rows; ``count`` precede them."""
    block = []
    try:
        for row in itertools.islice(rows, BLOCK_ROWS):
            block.append(row)
    except arff.ArffException as error:
        row = count + len(block) + 1
        why = quoted(" ".join(error.message.replace(", at line %d.", ".").split()))
        message = f"Row {row} of the ARFF file cannot be read: {why}"
        raise Refused("unreadable", message, place=f"row {row}", row=row) from error
    return block


class _Rows:
    """Reads rows with liac-arff, as texts: what they mean is decided later, alike in all formats."""

    def __init__(self, text: TextFile, skipped: int, attributes: Sequence[Attribute], limits: Limits) -> None:
        self._text, self._skipped, self._attributes, self._limits = text, skipped, attributes, limits

    def read(self, builders: dict[str, ColumnBuilder]) -> None:
        """Append all rows to ``builders``."""
        positions = [i for i, name in enumerate(self._names()) if name in builders]
        count = 0
        with _lines(self._text) as lines, reading("The ARFF file"):
            for _ in itertools.islice(lines, self._skipped):
                continue
            rows = self._rows(lines)
            while block := _block(rows, count):
                count += len(block)
                check_size(count * CODE_BYTES * len(self._attributes), self._limits.dataset_bytes)
                for builder, i in zip(builders.values(), positions, strict=True):
                    builder.append(self._column(block, i))
        if not count:
            raise Refused("empty", "The file has no rows.")

    def _names(self) -> list[str]:
        return names_of([attribute.name for attribute in self._attributes], [])

    def _rows(self, lines: Iterator[str]) -> Iterator[Any]:
        """Yield a list for each row, or a mapping from position to value if the rows are sparse."""
        lines = (line for line in lines if line.strip() and not line.lstrip().startswith("%"))
        first = next(lines, "")
        is_sparse = first.lstrip().startswith("{")
        header = [f"@attribute a{i} string" for i in range(len(self._attributes))]
        document = itertools.chain(["@relation r", *header, "@data", first], lines)
        rows: Iterator[Any] = arff.load(document, return_type=arff.LOD_GEN if is_sparse else arff.DENSE_GEN)["data"]
        return rows

    def _column(self, block: Sequence[Any], i: int) -> pa.StringArray:
        if isinstance(block[0], dict):
            omitted = self._attributes[i].first
            return pa.array([row.get(i, omitted) for row in block], pa.string())
        return pa.array([row[i] for row in block], pa.string())
