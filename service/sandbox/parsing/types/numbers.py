"""Numbers as people write them: decimal commas, thousands separators, percent, currencies, 1.2K, (5) for −5.

All cells of a column are read in one style, which its different texts decide together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.sandbox.parsing.formats.raw_columns import share_of
from service.sandbox.parsing.options import Mark
from service.sandbox.parsing.sources import Values

CURRENCIES = r"[$€£¥₹₽₩₺₴₫฿]|USD|EUR|GBP|JPY|CHF|CNY|RMB|INR|CAD|AUD|US\$"
SHAPE = (
    r"^(?P<open>\()?(?P<sign>[+\-−–])?\s*(?P<before>" + CURRENCIES + r")?\s*(?P<sign2>[+\-−–])?"
    r"(?P<digits>\d[\d.,'’\x{a0}\x{202f}\x{2009} ]*|[.,]\d+)(?P<exponent>[eE][+\-−]?\d+)?"
    r"\s*(?P<scale>[KkMBbTt]|bn|mn)?\s*(?P<unit>%|" + CURRENCIES + r")?(?P<close>\))?$"
)
SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9, "t": 1e12}
GROUPED = r"^[1-9]\d{0,2},\d{3}$"
"""A comma that may separate thousands, or decimals."""
GROUPED_BY_POINTS = r"^(?:[1-9]\d{0,2}(?:\.\d{3})?|0)$"
"""Digits whose point, if any, may separate thousands, or decimals."""
THOUSANDS = {".": r"[,'’\x{a0}\x{202f}\x{2009} ]", ",": r"[.'’\x{a0}\x{202f}\x{2009} ]"}
"""Separators of thousands, by decimal mark."""
WELL_FORMED = {
    mark: rf"^\d{{1,3}}(?:{separator}\d{{2,3}})*{separator}\d{{3}}(?:\{mark}\d*)?$|^\d*\{mark}?\d*$"
    for mark, separator in THOUSANDS.items()
}
"""Digits by decimal mark, in groups (of two as well: 1,23,456 in India) or without."""

DECIMAL_COMMA = "The comma is the decimal mark."


@dataclass(frozen=True)
class Reading:
    """How the texts of a column were read as numbers."""

    values: Values
    """Float64, one for each text; NaN where it is not a number in this style."""
    decimal: Mark
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Parts:
    """The parts of texts that look like numbers; "" where a part is absent."""

    looks: Values
    negative: Values
    digits: pa.Array
    exponent: pa.Array
    scale: pa.Array
    unit: pa.Array
    before: pa.Array
    in_parentheses: bool


def are_likely(texts: pa.Array) -> bool:
    """Return whether a column of these texts may be numbers."""
    return share_of(texts, SHAPE) > 0.5


def read(texts: pa.Array, *, decimal: Mark | None, comma_likely: bool, elsewhere: Mark | None = None) -> Reading:
    """Read the different texts of a column as numbers, in the style that most of them decide.

    ``elsewhere`` is the decimal mark of the file's other columns, if they are sure of one.
    """
    parts = _parts(texts)
    mark, note = (decimal, None) if decimal is not None else _mark(parts, comma_likely=comma_likely, other=elsewhere)
    values = _values(parts, mark)
    notes = [note] if note else []
    for units, what in ((parts.unit, "unit"), (parts.before, "currency")):
        values, unit_note = _one_unit(values, units, what)
        notes += [unit_note] if unit_note else []
    if not pc.all(pc.equal(parts.scale, "")).as_py():
        notes.append("Suffixes such as K and M were read as thousands and millions.")
    if pc.any(pc.match_substring_regex(parts.digits, r"[^\d.,]")).as_py():
        notes.append("Spaces and apostrophes separate thousands.")
    if parts.in_parentheses:
        notes.append("Numbers in parentheses are negative.")
    return Reading(values, mark, tuple(notes))


def certain_mark(texts: pa.Array) -> Mark | None:
    """Return the decimal mark of these texts if they have one that cannot separate thousands."""
    if not len(texts) or not are_likely(texts):
        return None
    parts = _parts(texts)
    likely, _ = _mark(parts, comma_likely=True, other=",")
    unlikely, _ = _mark(parts, comma_likely=False, other=".")
    return likely if likely == unlikely and pc.any(pc.match_substring_regex(parts.digits, "[.,]")).as_py() else None


def points_note(example: str, elsewhere: Mark | None) -> tuple[Mark, str | None]:
    """Return the decimal mark of numbers such as 1.100, and a note on how their points are read."""
    if elsewhere == ",":
        note = f"Points separate thousands, as in {example!r}, since other columns have decimal commas; "
        return ",", note + "decimal='.' reads them as decimal marks."
    if elsewhere == ".":
        return ".", None
    note = f"Points are read as decimal marks, as in {example!r}; decimal=',' reads them as thousands separators."
    return ".", note


def _parts(texts: pa.Array) -> _Parts:
    matches = pc.extract_regex(texts, SHAPE)
    looks = matches.is_valid().to_numpy(zero_copy_only=False)

    def part(name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(matches, name), "")

    signs = pc.binary_join_element_wise(part("sign"), part("sign2"), "")
    opened, closed = (_is_set(part(name)) for name in ("open", "close"))
    signed = pc.match_substring_regex(signs, "[-−–]").to_numpy(zero_copy_only=False)
    looks &= (opened == closed) & ~(opened & _is_set(signs))
    digits = pc.replace_substring_regex(part("digits"), r"[ \x{a0}]+$", "")
    return _Parts(
        looks,
        signed | opened,
        digits,
        pc.replace_substring(part("exponent"), "−", "-"),
        pc.utf8_lower(part("scale")),
        part("unit"),
        part("before"),
        bool((opened & looks).any()),
    )


def _is_set(texts: pa.Array) -> Values:
    answer: Values = pc.not_equal(texts, "").to_numpy(zero_copy_only=False)
    return answer


def _mark(parts: _Parts, *, comma_likely: bool, other: Mark | None) -> tuple[Mark, str | None]:
    """Return the decimal mark of the column, and a note if it is not the point of plain numbers."""
    digits = parts.digits.filter(pa.array(parts.looks))
    commas, points = (pc.sum(pc.count_substring(digits, mark)).as_py() or 0 for mark in (",", "."))
    if not commas:
        if _separate_thousands(digits, "."):
            return ",", "Points separate thousands, since some numbers have several."
        if points and pc.all(pc.match_substring_regex(digits, GROUPED_BY_POINTS)).as_py():
            return points_note(digits.filter(pc.match_substring(digits, "."))[0].as_py(), other)
        return ".", None
    if points:
        both = digits.filter(pc.and_(pc.match_substring(digits, ","), pc.match_substring(digits, ".")))
        last = pc.greater(pc.find_substring(pc.utf8_reverse(both), "."), pc.find_substring(pc.utf8_reverse(both), ","))
        if len(both) and pc.mean(pc.cast(last, pa.float64())).as_py() > 0.5:
            return ",", "The comma is the decimal mark, points separate thousands."
        if len(both):
            return ".", "Commas separate thousands."
    return _comma(digits, comma_likely=comma_likely or other == ",")


def _separate_thousands(digits: pa.Array, separator: Mark) -> bool:
    """Return whether numbers have several of these separators, and most fit only without it as the decimal mark."""
    if not pc.any(pc.greater(pc.count_substring(digits, separator), 1)).as_py():
        return False
    marks: tuple[Mark, ...] = (separator, "," if separator == "." else ".")
    decimal, thousands = (pc.sum(pc.match_substring_regex(digits, WELL_FORMED[mark])).as_py() for mark in marks)
    return bool(thousands >= decimal and thousands)


def _comma(digits: pa.Array, *, comma_likely: bool) -> tuple[Mark, str | None]:
    """Decide between decimal and thousands commas where no number has both marks."""
    with_comma = digits.filter(pc.match_substring(digits, ","))
    if _separate_thousands(digits, ","):
        return ".", "Commas separate thousands."
    if not pc.all(pc.match_substring_regex(with_comma, GROUPED)).as_py():
        return ",", DECIMAL_COMMA
    example = with_comma[0].as_py()
    if comma_likely:
        return ",", f"The comma is read as the decimal mark, as in {example!r}; decimal='.' reads it as a thousand."
    return ".", f"Commas are read as thousands separators, as in {example!r}; decimal=',' reads them as decimal marks."


def _values(parts: _Parts, mark: Mark) -> Values:
    """Return the numbers, NaN where a text does not follow the style."""
    fits = pc.match_substring_regex(parts.digits, WELL_FORMED[mark]).to_numpy(zero_copy_only=False) & parts.looks
    plain = pc.replace_substring_regex(parts.digits, THOUSANDS[mark], "")
    plain = pc.replace_substring(plain, ",", ".")
    joined = pc.binary_join_element_wise(plain, parts.exponent, "")
    usable = pa.array(fits & pc.match_substring_regex(plain, r"\d").to_numpy(zero_copy_only=False))
    values: Values = pc.cast(pc.if_else(usable, joined, None), pa.float64()).to_numpy(zero_copy_only=False).copy()
    for scale, factor in SCALES.items():
        if scale:
            values[pc.equal(parts.scale, scale).to_numpy(zero_copy_only=False)] *= factor
    return np.where(parts.negative, -values, values)


def _one_unit(values: Values, units: pa.Array, what: str) -> tuple[Values, str | None]:
    """Accept numbers of the most frequent unit only; a percentage is never mixed with plain numbers."""
    if not np.isfinite(values).any() or pc.all(pc.equal(units, "")).as_py():
        return values, None
    counts = pc.value_counts(units.filter(pa.array(~np.isnan(values)))).to_pylist()
    named = [one for one in counts if one["values"]]
    if not named:
        return values, None
    unit = max(named, key=lambda one: one["counts"])["values"]
    allowed = pc.equal(units, unit).to_numpy(zero_copy_only=False)
    if unit != "%":
        allowed |= pc.equal(units, "").to_numpy(zero_copy_only=False)
    elif 2 * allowed.sum() < len(allowed):
        return np.where(allowed, np.nan, values), None
    note = "Percentages were read as they are written: 5% is 5." if unit == "%" else f"The {what} {unit!r} was removed."
    return np.where(allowed, values, np.nan), note
