"""Texts that stand for a missing value, the same in all formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.sandbox.parsing.refusals import quoted
from service.sandbox.parsing.sources import Values

TOKENS = (
    *("", "NA", "N/A", "n/a", "na", "#N/A", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "none"),
    *("?", "-", "--", "."),
)
MAX_NOTED = 5


def is_missing(texts: pa.Array, more: Sequence[str]) -> pa.BooleanArray:
    """Return whether each text stands for a missing value, as usual or because it is one of ``more``."""
    return pc.is_in(texts, value_set=pa.array([*TOKENS, *more], texts.type))


def count(tokens: Counter[str], levels: pa.Array, frequencies: Values) -> None:
    """Add the frequencies (one for each level) of texts that stand for a missing value to ``tokens``."""
    for token, rows in zip(levels.to_pylist(), frequencies.tolist(), strict=True):
        if rows and token:
            tokens[token] += rows


def note_on(tokens: Counter[str]) -> str | None:
    """Return a sentence about the texts that were read as missing; None without any."""
    if not tokens:
        return None
    listed = [f"{quoted(token)!r} ({rows:,} {'row' if rows == 1 else 'rows'})" for token, rows in tokens.most_common()]
    more = ", …" if len(listed) > MAX_NOTED else ""
    return f"Read as missing: {', '.join(listed[:MAX_NOTED])}{more}."


def numeric(tokens: Sequence[str]) -> Values:
    """Return the numbers among the texts, such as −999, as float64."""
    values = []
    for token in tokens:
        try:
            values.append(float(token))
        except ValueError:
            continue
    return np.array(values, np.float64)
