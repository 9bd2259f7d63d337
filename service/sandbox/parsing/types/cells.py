"""The cells of a raw column before its type is decided: trimmed, and without those that stand for a missing value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.sandbox.parsing.formats.raw_columns import Dates, Numbers, RawColumn, Texts
from service.sandbox.parsing.options import Mark
from service.sandbox.parsing.tables.columns import MISSING
from service.sandbox.parsing.types import missing
from service.sandbox.parsing.types import numbers as number_texts

EXACT = 2**53
"""Whole numbers from here on are not exact in float64."""


def clean_texts(raw: RawColumn, tokens: Sequence[str]) -> Texts:
    """Return the texts without surrounding spaces, without missing ones, and each level once and in use."""
    cells = raw.cells
    assert isinstance(cells, Texts)
    trimmed = pc.utf8_trim_whitespace(cells.levels)
    used = np.bincount(cells.codes[cells.codes >= 0], minlength=len(cells.levels))
    changed = pc.not_equal(trimmed, cells.levels).to_numpy(zero_copy_only=False) & (used > 0)
    absent = missing.is_missing(trimmed, tokens).to_numpy(zero_copy_only=False)
    raw.trimmed |= bool((changed & ~absent).any())
    missing.count(raw.tokens, trimmed.filter(pa.array(absent)), used[absent])
    present = (used > 0) & ~absent
    encoded = trimmed.filter(pa.array(present)).dictionary_encode()
    places = np.full(len(trimmed) + 1, MISSING, np.int32)  # the last is of missing cells
    places[:-1][present] = encoded.indices.to_numpy()
    return Texts(places[cells.codes], encoded.dictionary)


def with_points(raw: RawColumn, elsewhere: Mark | None) -> RawColumn:
    """Return numbers such as 1.100, read as thousands if the file's other columns have decimal commas."""
    assert isinstance(raw.cells, Numbers)
    assert raw.pointed is not None
    values = raw.cells.values
    mark, note = number_texts.points_note(f"{values[np.argmax(raw.pointed)]:.3f}", elsewhere)
    if mark == ",":
        values = np.where(raw.pointed, np.rint(values * 1000), values)
    return replace(raw, cells=Numbers(values), decimal=mark, notes=[*raw.notes, *([note] if note else [])])


def without_sentinels(raw: RawColumn, tokens: Sequence[str]) -> Numbers:
    """Return the numbers, NaN where they equal a text that stands for a missing value, such as −999."""
    assert isinstance(raw.cells, Numbers)
    values = raw.cells.values
    for sentinel in missing.numeric(tokens):
        absent = values == sentinel
        if absent.any():
            raw.tokens[f"{sentinel:g}"] += int(absent.sum())
            values = np.where(absent, np.nan, values)
    return Numbers(values)


def as_texts(cells: Numbers | Dates) -> Texts:
    """Return numbers as the shortest texts that stand for them."""
    different, codes = np.unique(cells.values, return_inverse=True)
    present = int((~np.isnan(different)).sum())
    codes = np.where(codes >= present, MISSING, codes).astype(np.int32)
    whole = different[:present]
    texts = [str(int(one)) if one.is_integer() and abs(one) < EXACT else repr(float(one)) for one in whole.tolist()]
    return Texts(codes, pa.array(texts, pa.string()))
