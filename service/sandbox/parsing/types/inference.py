"""From raw columns to typed ones: number, date, boolean, category, text or id, decided by all values of a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.sandbox.parsing.formats.raw_columns import Dates, Numbers, RawColumn, Texts
from service.sandbox.parsing.options import ColumnType
from service.sandbox.parsing.refusals import Refused, quoted
from service.sandbox.parsing.sources import Values
from service.sandbox.parsing.tables.columns import BOOLEAN_LEVELS, MISSING, Column
from service.sandbox.parsing.types import dates as date_texts
from service.sandbox.parsing.types import ids, missing
from service.sandbox.parsing.types import numbers as number_texts
from service.sandbox.parsing.types.cells import EXACT, as_texts, clean_texts, with_points, without_sentinels
from service.sandbox.parsing.types.requests import Request

BOOLEANS = ({"true": 1, "false": 0}, {"yes": 1, "no": 0}, {"t": 1, "f": 0})
ALMOST_ALL = 0.9
"""Share of rows from which on a column counts as numbers (or dates), so that its other cells are mistakes."""
MIN_DIFFERENT = 20
"""Different numbers from which on the same holds; fewer may be codes, as in 0, 1, 2, 3+."""
LONG_TEXT = 40
"""Characters of a text, on average."""


def typed(raw: RawColumn, request: Request) -> Column:
    """Return the column with the requested type, or the one that its values have.

    Raises:
        Refused: A cell does not fit the type, requested or of almost all other cells.
    """
    if isinstance(raw.cells, Texts):
        raw = replace(raw, cells=clean_texts(raw, request.missing))
    elif isinstance(raw.cells, Numbers):
        if raw.pointed is not None and request.decimal is None:
            raw = with_points(raw, request.elsewhere)
        if request.missing:
            raw = replace(raw, cells=without_sentinels(raw, request.missing))
    column = _Typing(raw, request).column()
    notes = [*([note] if (note := missing.note_on(raw.tokens)) else []), *column.notes]
    if raw.trimmed:
        notes.append("Spaces around values were removed.")
    return replace(column, notes=(*raw.notes, *notes))


class _Typing:
    """Decides the type of one column."""

    def __init__(self, raw: RawColumn, request: Request) -> None:
        self.raw, self.request = raw, request

    def column(self) -> Column:
        """Return the typed column."""
        requested, cells = self.request.type, self.raw.cells
        if requested is not None:
            return self._requested(requested)
        if isinstance(cells, Numbers):
            self._check_finite(cells.values)
            return self._numbers(cells)
        if isinstance(cells, Dates):
            return self._column("date", cells.values, has_time=cells.has_time)
        return self._texts(cells)

    def _column(self, kind: ColumnType, values: Values, *, has_time: bool = False, notes: Sequence[str] = ()) -> Column:
        return Column(
            name=self.raw.name,
            type=kind,
            values=values,
            has_time=has_time,
            decimal=self.raw.decimal if kind == "number" else ".",
            notes=tuple(notes),
        )

    def _coded(self, kind: ColumnType, cells: Texts, notes: Sequence[str] = ()) -> Column:
        order = pc.sort_indices(cells.levels).to_numpy()
        ranks = np.full(len(order) + 1, MISSING, np.int32)
        ranks[order] = np.arange(len(order), dtype=np.int32)
        levels = tuple(cells.levels.take(pa.array(order)).to_pylist())
        values = ranks[cells.codes]
        return Column(name=self.raw.name, type=kind, values=values, levels=levels, notes=tuple(notes))

    # Requested types

    def _requested(self, kind: ColumnType) -> Column:
        cells = self.raw.cells
        if kind == "number":
            return self._as_numbers()
        if kind == "date":
            return self._as_dates()
        texts = cells if isinstance(cells, Texts) else as_texts(cells)
        return self._as_booleans(texts) if kind == "boolean" else self._coded(kind, texts)

    def _as_numbers(self) -> Column:
        cells = self.raw.cells
        if isinstance(cells, Numbers | Dates):
            self._check_finite(cells.values)
            return self._column("number", cells.values)
        reading = self._read_numbers(cells)
        self._check_all(cells, reading.values, "a number")
        values = _at(reading.values, cells.codes)
        self._check_finite(values, cells)
        return replace(self._column("number", values, notes=reading.notes), decimal=reading.decimal)

    def _as_dates(self) -> Column:
        cells = self.raw.cells
        if isinstance(cells, Dates):
            return self._column("date", cells.values, has_time=cells.has_time)
        texts = cells if isinstance(cells, Texts) else as_texts(cells)
        reading = date_texts.read(texts.levels, requested=True, day_first=self.request.day_first)
        values = np.full(len(texts.levels), np.nan) if reading is None else reading.values
        self._check_all(texts, values, "a date such as 2024-01-31")
        assert reading is not None, "all texts were read"
        return self._dates(texts, reading)

    def _dates(self, cells: Texts, reading: date_texts.Reading) -> Column:
        column = self._column("date", _at(reading.values, cells.codes), has_time=reading.has_time, notes=reading.notes)
        return replace(column, day_first=reading.day_first)

    def _as_booleans(self, texts: Texts) -> Column:
        words = {**BOOLEANS[0], **BOOLEANS[1], **BOOLEANS[2], "y": 1, "n": 0, "1": 1, "0": 0}
        truths = np.array([words.get(level.lower(), np.nan) for level in texts.levels.to_pylist()], np.float64)
        self._check_all(texts, truths, "true or false, yes or no, 1 or 0")
        return self._boolean_column(texts, truths)

    def _check_all(self, cells: Texts, values: Values, expected: str) -> None:
        """Check that all texts were read."""
        if np.isnan(values).any():
            raise self._misfit(cells, np.isnan(values), expected)

    def _misfit(self, cells: Texts, wrong: Values, expected: str) -> Refused:
        rejected = np.append(wrong, False)[cells.codes]
        row, rows = int(np.flatnonzero(rejected)[0]), int(rejected.sum())
        name, text = self.raw.name, quoted(cells.levels[int(cells.codes[row])].as_py())
        more = f", like {rows - 1:,} more" if rows > 1 else ""
        message = (
            f"Column {name!r}, row {row + 1}: {text!r} is not {expected}{more}. If it stands for a missing value, pass "
            f"missing={text}; types={name}=category keeps all texts as they are."
        )
        return Refused("mixed_types", message, place=name, row=row + 1, column=name, cell=text, parameter="missing")

    # Inferred types

    def _check_finite(self, values: Values, texts: Texts | None = None) -> None:
        """Check that no number is infinite; ``texts`` are the cells, if the numbers were read from them."""
        infinite = np.isinf(values)
        if self.request.lenient or not infinite.any():
            return
        row, name = int(np.flatnonzero(infinite)[0]), self.raw.name
        text = self.raw.infinite if texts is None else texts.levels[int(texts.codes[row])].as_py()
        cell = str(values[row]) if text is None else quoted(text)
        message = (
            f"Column {name!r}, row {row + 1}: the number {cell} is infinite. If it stands for a missing value, pass "
            f"missing={cell}."
        )
        raise Refused("not_finite", message, place=name, row=row + 1, column=name, cell=cell, parameter="missing")

    def _numbers(self, cells: Numbers) -> Column:
        if np.isnan(cells.values).all():
            return self._column("number", cells.values, notes=["It has no values."])
        if self.request.is_input and ids.ID_NAMES.fullmatch(self.raw.name) and ids.are_different(cells.values):
            note = "It is a different whole number in every row, so it is an id, which models do not use."
            return self._coded("id", as_texts(cells), [note])
        if not (self.request.is_input and ids.count_rows(cells.values)):
            return self._column("number", cells.values)
        if ids.ROW_NAMES.fullmatch(self.raw.name):
            note = "It numbers the rows, so it is an id, which models do not use; the option type sets another."
            return self._coded("id", as_texts(cells), [note])
        return self._column("number", cells.values, notes=["It numbers the rows; drop it if it has no other meaning."])

    def _read_numbers(self, cells: Texts) -> number_texts.Reading:
        request = self.request
        return number_texts.read(
            cells.levels,
            decimal=request.decimal,
            comma_likely=request.comma_likely,
            elsewhere=request.elsewhere,
        )

    def _texts(self, cells: Texts) -> Column:
        if not len(cells.levels):
            return self._column("number", np.full(len(cells.codes), np.nan), notes=["It has no values."])
        truths = None if self.request.is_target else _booleans(cells.levels, BOOLEANS)
        if truths is not None:
            return self._boolean_column(cells, truths)
        counts = np.bincount(cells.codes[cells.codes >= 0], minlength=len(cells.levels))
        if number_texts.are_likely(cells.levels):
            if (column := self._labels(cells, counts)) is not None:
                return column
            reading = self._read_numbers(cells)
            if self._nearly_all(cells, reading.values, counts, "a number"):
                values = _at(reading.values, cells.codes)
                self._check_finite(values, cells)
                numbers = self._numbers(Numbers(values))
                return replace(numbers, decimal=reading.decimal, notes=(*reading.notes, *numbers.notes))
        dates = date_texts.read(cells.levels)
        if dates is not None and self._nearly_all(cells, dates.values, counts, "a date in the format of the others"):
            return self._dates(cells, dates)
        return self._words(cells, counts)

    def _nearly_all(self, cells: Texts, values: Values, counts: Values, expected: str) -> bool:
        """Return whether all texts were read.

        Raises:
            Refused: Almost all were, so that the others are mistakes.
        """
        wrong = np.isnan(values)
        if not wrong.any():
            return True
        mistaken = counts[~wrong].sum() >= ALMOST_ALL * counts.sum() and (~wrong).sum() > MIN_DIFFERENT
        if mistaken and not self.request.lenient:
            raise self._misfit(cells, wrong, expected)
        return False

    def _labels(self, cells: Texts, counts: Values) -> Column | None:
        """Return a column of digits that are labels: with leading zeros, or too many digits for a number."""
        digits = pc.match_substring_regex(cells.levels, r"^[+\-]?\d+$")
        if not pc.all(digits).as_py():
            return None
        if pc.any(pc.match_substring_regex(cells.levels, r"^0\d")).as_py():
            note = "Its numbers have leading zeros, so they are labels; the option type sets another, such as number."
        elif pc.any(pc.greater(pc.utf8_length(cells.levels), 15)).as_py() and _beyond_exact(cells.levels):
            note = "Its whole numbers have more digits than a number stores exactly, so they are labels."
        else:
            return None
        column = self._words(cells, counts)
        return replace(column, notes=(note, *column.notes))

    def _boolean_column(self, cells: Texts, truths: Values) -> Column:
        values = np.append(truths, MISSING).astype(np.int32)[cells.codes]
        return Column(name=self.raw.name, type="boolean", values=values, levels=BOOLEAN_LEVELS)

    def _words(self, cells: Texts, counts: Values) -> Column:
        """Return a column of words: a category, or a text or an id that no model can use."""
        rows, different = int(counts.sum()), len(cells.levels)
        if self.request.is_target or not self.request.is_input:
            return self._coded("category", cells)
        length = pc.mean(pc.utf8_length(cells.levels)).as_py()
        if different == rows and rows > 2:
            kind: ColumnType = "text" if length > LONG_TEXT else "id"
            return self._coded(
                kind, cells, [f"It differs in every row, so it is {_article(kind)}, which models do not use."]
            )
        if different > max(MIN_DIFFERENT, rows / 2):
            note = (
                f"It has {different:,} different texts in {rows:,} rows, too many for a category: models do not use it."
            )
            return self._coded("text", cells, [note])
        return self._coded("category", cells)


def _article(kind: ColumnType) -> str:
    return "an id" if kind == "id" else "a text"


def _at(values: Values, codes: Values) -> Values:
    """Return the value of each code, NaN of missing ones."""
    chosen: Values = np.append(values, np.nan)[codes]
    return chosen


def _beyond_exact(digits: pa.Array) -> bool:
    return any(abs(int(text)) >= EXACT for text in digits.to_pylist() if len(text) > 15)


def _booleans(levels: pa.Array, vocabularies: Sequence[dict[str, int]]) -> Values | None:
    """Return the truth value of each level; None if they are not all of one vocabulary."""
    if len(levels) > 12:
        return None
    texts = [level.lower() for level in levels.to_pylist()]
    for words in vocabularies:
        if all(text in words for text in texts):
            return np.array([words[text] for text in texts], np.int32)
    return None
