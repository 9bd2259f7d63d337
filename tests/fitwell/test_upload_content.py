"""Data to upload: each kind of data becomes the bytes of a file, the same ones for every try."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fitwell.upload_content import upload_of


def sent(data: Any) -> bytes:
    """Return the bytes of an upload, which a second try sends again."""
    upload = upload_of(data)
    first, second = (b"".join(upload.content()) for _ in range(2))
    assert first == second
    return first


def test_path_has_the_format_and_the_name_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.tsv"
    file.write_bytes(b"x\ty\n")
    for data in (file, str(file)):
        upload = upload_of(data)
        assert (upload.format, upload.name, b"".join(upload.content())) == ("csv", "rows", b"x\ty\n")


def test_open_file_is_sent_from_its_position(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"comment\nx,y\n")
    with file.open("rb") as content:
        content.readline()
        upload = upload_of(content)
        assert (upload.format, upload.name) == ("csv", "rows")
        assert sent(content) == b"x,y\n"
    assert upload_of(io.BytesIO(b"")).format is None


def test_stream_without_positions_is_sent_twice_too() -> None:
    class Stream:
        def __init__(self) -> None:
            self.content = io.BytesIO(b"x,y\n1,2\n")

        def read(self, size: int = -1) -> bytes:
            return self.content.read(size)

    assert sent(Stream()) == b"x,y\n1,2\n"


def test_data_frames_become_parquet() -> None:
    columns = {"age": [1.5, None], "sex": ["f", "m"]}
    frame = pd.DataFrame(columns, index=["a", "b"])
    for data in (frame, pl.DataFrame(columns)):
        assert upload_of(data).format == "parquet"
        read = pd.read_parquet(io.BytesIO(sent(data)))
        assert list(read.columns) == ["age", "sex"], "the index is not a column"
        assert read["sex"].tolist() == ["f", "m"]
        assert np.array_equal(read["age"], [1.5, np.nan], equal_nan=True)
    assert frame.index.tolist() == ["a", "b"]


def test_columns_without_text_names_are_named_by_their_text() -> None:
    assert list(pd.read_parquet(io.BytesIO(sent(pd.DataFrame({0: [1], 1: [2]})))).columns) == ["0", "1"]


def test_arrays_become_an_archive() -> None:
    x, y = np.arange(6.0).reshape(3, 2), np.array(["a", "b", "a"], dtype=object)
    for data in ((x, y), {"x": x, "y": y}, {"x": x.tolist(), "y": y.tolist()}):
        assert upload_of(data).format == "npz"
        with np.load(io.BytesIO(sent(data))) as archive:
            assert np.array_equal(archive["x"], x)
            assert archive["y"].tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2], "list is nothing to upload. Upload a path"),
        (np.zeros(3), "a mapping of arrays such as"),
        ((1, 2, 3), "tuple is nothing to upload"),
        ({"x": [[1], [1, 2]]}, "array"),
        ({"x": np.array([None, 1])}, "The array 'x' has the type object"),
        (io.StringIO("x,y"), "open in text mode"),
    ],
)
def test_other_data_are_refused(data: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        sent(data)
