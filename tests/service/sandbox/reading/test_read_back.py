"""Reading back files that pandas and pyarrow wrote."""

from __future__ import annotations

import contextlib
import decimal
import io
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.types.missing import TOKENS
from tests.service.sandbox.reading.files import cells_of, read

ROWS = 30
NUMBERS = st.lists(
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53) + 1, 2**53 - 1)),
    min_size=ROWS,
    max_size=ROWS,
)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=1).filter(
    lambda word: word not in TOKENS and word.strip() == word
)
TEXTS = st.lists(WORDS, min_size=2, max_size=5, unique=True).map(lambda words: (words * ROWS)[:ROWS])
DATES = st.lists(
    st.one_of(st.none(), st.datetimes(pd.Timestamp("1700-01-01"), pd.Timestamp("2200-01-01"))),
    min_size=ROWS,
    max_size=ROWS,
)
TYPES = {"numbers": "number", "texts": "category", "dates": "date"}
DELIMITERS = st.sampled_from([",", ";", "\t", "|"])


def frame_of(numbers: list[Any], texts: list[str], dates: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "numbers": [np.nan if value is None else float(value) for value in numbers],
            "texts": texts,
            "dates": pd.Series([None if date is None else date.replace(microsecond=0) for date in dates]),
        }
    ).astype({"dates": "datetime64[s]"})


def check(content: bytes, numbers: list[Any], texts: list[str], dates: list[Any], **options: Any) -> None:
    columns = read(content, types=TYPES, **options).columns
    assert cells_of(columns[0]) == [None if value is None else float(value) for value in numbers]
    assert cells_of(columns[1]) == texts
    assert cells_of(columns[2]) == [
        None if date is None else np.datetime64(date, "s").astype(float).item() for date in dates
    ]


@settings(max_examples=25)
@given(numbers=NUMBERS, texts=TEXTS, dates=DATES, delimiter=DELIMITERS)
def test_csv_of_pandas_is_read_back(numbers: list[Any], texts: list[str], dates: list[Any], delimiter: str) -> None:
    text = frame_of(numbers, texts, dates).to_csv(index=False, sep=delimiter, date_format="%Y-%m-%dT%H:%M:%S")
    check(text.encode(), numbers, texts, dates, header=True, delimiter=delimiter, encoding="utf-8", decimal=".")


@settings(max_examples=15)
@given(numbers=NUMBERS, texts=TEXTS, dates=DATES)
def test_parquet_of_pandas_is_read_back(numbers: list[Any], texts: list[str], dates: list[Any]) -> None:
    file = io.BytesIO()
    frame_of(numbers, texts, dates).to_parquet(file)
    check(file.getvalue(), numbers, texts, dates)


@settings(max_examples=25)
@given(content=st.binary(max_size=400), lines=st.lists(st.text(st.sampled_from('ab1,;"\n\t .'), max_size=9)))
def test_any_bytes_are_read_or_refused(content: bytes, lines: list[str]) -> None:
    for one in (content, "\n".join(lines).encode()):
        with contextlib.suppress(Refused):
            read(one)


def test_decimal_of_parquet_is_a_number() -> None:
    file = io.BytesIO()
    parquet.write_table(pa.table({"a": [decimal.Decimal("1.10"), None], "y": [1, 2]}), file)
    assert cells_of(read(file.getvalue()).columns[0]) == [1.1, None]
