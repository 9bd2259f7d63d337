"""Columns of a delimited text, gathered block by block: float64 while all cells are plain numbers, else codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.sandbox.parsing.formats.raw_columns import SAMPLE, Numbers, RawColumn, Texts
from service.sandbox.parsing.options import Mark, Options
from service.sandbox.parsing.sources import Values
from service.sandbox.parsing.tables.columns import MISSING
from service.sandbox.parsing.types import missing
from service.sandbox.parsing.types.cells import EXACT
from service.sandbox.parsing.types.numbers import DECIMAL_COMMA

MAX_CAPACITY = 2**21
"""Rows for which memory is reserved at first, at most."""


THOUSANDS = r"^[+\-−]?[1-9]\d{0,2}(?:,\d{2,3})*,\d{3}$"
"""Whole numbers whose commas may separate thousands."""
GROUPED_BY_POINT = r"^[+\-]?[1-9]\d{0,2}\.\d{3}$"
"""Plain numbers whose point may separate thousands."""
QUOTED_AFTER_SPACE = r'^\s+"((?:[^"]|"")*)"\s*$'


class _GrowingArray:
    """An array to which blocks are appended, in place while its capacity lasts."""

    def __init__(self, dtype: type[np.generic], capacity: int) -> None:
        self._data: Values = np.empty(min(capacity, MAX_CAPACITY), dtype)
        self._size = 0

    def append(self, block: Values) -> None:
        end = self._size + len(block)
        if end > len(self._data):
            grown = np.empty(max(end, 2 * len(self._data)), self._data.dtype)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._data[self._size : end] = block
        self._size = end

    def values(self) -> Values:
        return self._data[: self._size]


def gather(
    names: Sequence[str],
    read: Callable[[dict[str, ColumnBuilder]], None],
    options: Options,
    *,
    rows: int,
    texts: Collection[str],
) -> list[RawColumn]:
    """Return the columns whose blocks ``read`` appends to builders, of at most ``rows`` rows.

    Those named in ``texts`` are never numbers. Columns that begin with numbers and continue with other texts are read
    once more.
    """
    builders = {name: ColumnBuilder(options, rows=rows, as_text=name in texts) for name in names}
    read(builders)
    again = {name: ColumnBuilder(options, rows=rows, as_text=True) for name in names if builders[name].is_mixed}
    if again:
        read(again)
    builders |= again
    return [builders.pop(name).column(name) for name in names]


class ColumnBuilder:
    """Gathers the blocks of a column."""

    def __init__(self, options: Options, *, rows: int, as_text: bool) -> None:
        self._rows = rows
        self._as_text = as_text
        self._decimal = options.decimal
        self._has_commas = options.decimal == ","
        self._missing = options.missing
        self._numbers: _GrowingArray | None = None
        self._may_be_grouped = not self._has_commas
        """Whether all points so far may separate thousands."""
        self._pointed: _GrowingArray | None = None
        """Which numbers have a point, if they may."""
        self._codes: _GrowingArray | None = None
        self._levels: list[pa.StringArray] = []
        self._known = 0
        """Levels so far, repeated ones included."""
        self._tokens: Counter[str] = Counter()
        self._trimmed = False
        self._infinite: str | None = None
        self.is_mixed = False
        """Whether texts follow numbers that are gathered already."""

    def append(self, cells: pa.StringArray) -> None:
        """Add a block."""
        if self.is_mixed:
            return
        if not self._as_text:
            values = self._parse(cells)
            if values is not None:
                self._numbers = self._numbers or _GrowingArray(np.float64, self._rows)
                self._numbers.append(values)
                return
            self.is_mixed, self._as_text = self._numbers is not None, True
            self._numbers = None
        if not self.is_mixed:
            self._encode(cells)

    def _encode(self, cells: pa.StringArray) -> None:
        """Add the block as codes of its own levels, which follow those of earlier blocks."""
        block = cells.dictionary_encode()
        codes = pc.add(block.indices, pa.scalar(self._known, pa.int32())).fill_null(MISSING)
        self._codes = self._codes or _GrowingArray(np.int32, self._rows)
        self._codes.append(codes.to_numpy(zero_copy_only=False))
        self._levels.append(block.dictionary)
        self._known += len(block.dictionary)

    def _parse(self, cells: pa.StringArray) -> Values | None:
        """Return plain numbers; None if a cell is not one, or is a label or too large to be exact."""
        texts = cells
        numbers = None if self._has_commas else _cast(cells)
        if numbers is None:
            texts = self._cleaned(cells)
            numbers = self._cast_commas(texts) if self._has_commas else _cast(texts)
        if numbers is None and self._numbers is None and self._decimal is None and _are_decimal(texts):
            self._has_commas = True
            numbers = self._cast_commas(texts)
        if numbers is None:
            return None
        values: Values = numbers.fill_null(np.nan).to_numpy(zero_copy_only=False)
        if _has_labels(texts, values):
            return None
        self._count_nan(texts, values)
        self._note_points(texts, values)
        if self._infinite is None and (infinite := np.isinf(values)).any():
            self._infinite = texts[int(np.argmax(infinite))].as_py()
        return values

    def _note_points(self, texts: pa.StringArray, values: Values) -> None:
        """Note where points are, unless one of them is certainly a decimal mark."""
        self._may_be_grouped = (
            self._may_be_grouped
            and not self._has_commas
            and _may_be_grouped(texts[:SAMPLE], values[:SAMPLE])
            and _may_be_grouped(texts, values)
        )
        if self._may_be_grouped:
            self._pointed = self._pointed or _GrowingArray(np.bool_, self._rows)
            self._pointed.append(_pointed(texts))
        else:
            self._pointed = None

    def _cast_commas(self, texts: pa.StringArray) -> pa.DoubleArray | None:
        """Return numbers with decimal commas; None if a cell is not one, or has a point."""
        if pc.any(pc.match_substring(texts, ".")).as_py():
            return None
        return _cast(pc.replace_substring(texts, ",", "."))

    def _cleaned(self, cells: pa.StringArray) -> pa.StringArray:
        """Return the cells without spaces around them, and null where they stand for a missing value."""
        trimmed = pc.utf8_trim_whitespace(cells)
        absent = pc.fill_null(missing.is_missing(trimmed, self._missing), fill_value=False)
        if pc.any(absent).as_py():
            counts = pc.value_counts(trimmed.filter(absent))
            missing.count(self._tokens, counts.field("values"), counts.field("counts").to_numpy())
        self._trimmed |= bool(pc.any(pc.and_not(pc.not_equal(trimmed, cells), absent)).as_py())
        return pc.if_else(absent, None, trimmed)

    def _count_nan(self, texts: pa.StringArray, values: Values) -> None:
        """Count cells such as NaN, which are numbers to the parser."""
        absent = np.isnan(values)
        if absent.any() and (count := int(absent.sum()) - texts.null_count):
            self._tokens["NaN"] += count

    def column(self, name: str) -> RawColumn:
        """Return the whole column."""
        if self._numbers is not None:
            notes = [DECIMAL_COMMA] if self._has_commas and self._decimal is None else []
            cells = Numbers(self._numbers.values())
            decimal: Mark = "," if self._has_commas else "."
            pointed = self._pointed.values() if self._pointed is not None else None
            return RawColumn(
                name,
                cells,
                tokens=self._tokens,
                trimmed=self._trimmed,
                notes=notes,
                decimal=decimal,
                infinite=self._infinite,
                pointed=pointed if pointed is not None and pointed.any() else None,
            )
        assert self._codes is not None
        return RawColumn(name, Texts(self._codes.values(), _unquoted(pa.concat_arrays(self._levels))))


def _cast(texts: pa.StringArray) -> pa.DoubleArray | None:
    """Return the numbers of texts; None if one is not a number."""
    try:
        return pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        return None


def _are_decimal(texts: pa.StringArray) -> bool:
    """Return whether commas are certainly decimal marks: one stands where none separates thousands."""
    with_comma = texts.filter(pc.fill_null(pc.match_substring(texts, ","), fill_value=False))
    return bool(len(with_comma)) and not pc.all(pc.match_substring_regex(with_comma, THOUSANDS)).as_py()


def _pointed(texts: pa.StringArray) -> Values:
    pointed: Values = pc.fill_null(pc.match_substring(texts, "."), fill_value=False).to_numpy(zero_copy_only=False)
    return pointed


def _may_be_grouped(texts: pa.StringArray, values: Values) -> bool:
    """Return whether all points may separate thousands, and the other numbers have no more than three digits."""
    pointed = _pointed(texts)
    others = values[~pointed & ~np.isnan(values)]
    if len(others) and not ((np.abs(others) < 1000).all() and (others == np.rint(others)).all()):
        return False
    grouped = pc.match_substring_regex(texts.filter(pa.array(pointed)), GROUPED_BY_POINT)
    return bool(pc.all(grouped).as_py() is not False)


def _unquoted(levels: pa.StringArray) -> pa.StringArray:
    """Return the levels without quotation marks that follow spaces: the library takes them for a part of the text."""
    is_quoted = pc.match_substring_regex(levels, QUOTED_AFTER_SPACE)
    if not pc.any(is_quoted).as_py():
        return levels
    unquoted = pc.replace_substring(pc.replace_substring_regex(levels, QUOTED_AFTER_SPACE, r"\1"), '""', '"')
    return pc.if_else(is_quoted, unquoted, levels)


def _has_labels(texts: pa.StringArray, values: Values) -> bool:
    """Return whether a number has a leading zero, or is whole and too large for float64."""
    with np.errstate(invalid="ignore"):
        large = np.abs(values) >= EXACT
    if large.any():
        suspects = texts.filter(pa.array(large))
        if pc.any(pc.match_substring_regex(suspects, r"^[+\-]?\d+$")).as_py():
            return True
    return bool(pc.any(pc.and_(pc.starts_with(texts, "0"), pc.match_substring_regex(texts, r"^0\d+$"))).as_py())
