"""Hostile files of every format, each with the error code that refuses it."""

from __future__ import annotations

import gzip
import io
import pickle
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.service.datasets.upload_files import csv_text, npy, npz, parquet, pictures, png, zipped

X, Y = np.zeros((10, 2), np.float32), np.arange(10) % 2
LABELS = npy((10,), Y.tobytes(), "<i8")
RANDOM = np.random.default_rng(0)


def arrays(x: bytes, y: bytes = LABELS) -> bytes:
    return zipped({"x.npy": x, "y.npy": y})


def named(name: str, mode: int = 0, content: bytes | None = None) -> bytes:
    """Pictures, and an entry of this name and kind."""
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return zipped({**pictures(), info: content if content is not None else png(np.zeros((4, 4), np.uint8))})


def patched(archive: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert old in archive
    return archive.replace(old, new)


def encrypted() -> bytes:
    """Set the flag in every local header and in the directory."""
    content = bytearray(zipped(pictures()))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(mark, at + 4)
    return bytes(content)


def twice() -> bytes:
    file = io.BytesIO()
    content = png(np.zeros((4, 4), np.uint8))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/1.png", content)
        archive.writestr("b/1.png", content)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/1.png", content)
    return file.getvalue()


def many(count: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(count):
            archive.writestr(f"{i % 2}/{i}.png", b"")
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_that_says(width: int, height: int, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def deep_header() -> bytes:
    """A .npy header of nested parentheses."""
    text = ("{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 4000 + ")" * 4000 + "}").encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def lying_parquet(*, everywhere: bool) -> bytes:
    """100 rows, said to be 8000: the first time in the footer, or each time."""
    content = parquet(a=np.arange(100.0), b=np.arange(100) % 2)
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    footer = content[begin:]
    old, new = b"\xc8\x01", b"\x80\x7d"  # 100 and 8000 as thrift's zigzag varints
    assert old in footer
    return content[:begin] + footer.replace(old, new, -1 if everywhere else 1)


def picture(image: Image.Image, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def one_more(content: bytes, name: str = "class0/9.png") -> bytes:
    return zipped({**pictures(), name: content})


def long_cells() -> bytes:
    """60 different texts of 4 MiB each."""
    rows = b"".join(b"%d%s,%d\n" % (i, b"a" * 2**22, i % 2) for i in range(60))
    return gzip.compress(b"a,b\n" + rows, 1)


TABLE = [[i, i % 3, "ab"[i % 2]] for i in range(20)]
NAMES = ["a", "b", "c"]
NPZ: dict[str, tuple[Callable[[], bytes], str]] = {
    "shape of a terabyte": (lambda: arrays(npy((10, 2**38))), "header_lies"),
    "shape that overflows": (lambda: arrays(npy((10, 2**62, 4))), "header_lies"),
    "negative shape": (lambda: arrays(npy((10, -2), bytes(80))), "header_lies"),
    "two negative lengths": (lambda: arrays(npy((-10, -2), bytes(80))), "header_lies"),
    "bytes behind the end": (lambda: arrays(npy((10, 2), bytes(81))), "header_lies"),
    "header of parentheses": (lambda: arrays(deep_header()), "unreadable"),
    "header that is code": (lambda: arrays(npy((10, 2), bytes(80)).replace(b"False", b"id(1)")), "unreadable"),
    "version 3": (lambda: arrays(npy((10, 2), bytes(80)).replace(b"NUMPY\x01", b"NUMPY\x03")), "unreadable"),
    "pickle of inputs": (lambda: npz(x=np.array([[{}] * 2] * 10, object), y=Y), "pickle"),
    "pickle of labels": (lambda: npz(x=X, y=np.array([None] * 10, object)), "pickle"),
    "pickle in disguise": (lambda: arrays(npy((10, 2), pickle.dumps(X), "|O")), "pickle"),
    "pickle alone": (lambda: arrays(pickle.dumps(X)), "unreadable"),
    "structured": (lambda: npz(x=np.zeros(10, [("a", "f4"), ("b", "f4")]), y=Y), "wrong_dtype"),
    "complex": (lambda: npz(x=X.astype(complex), y=Y), "wrong_dtype"),
    "dates": (lambda: npz(x=X, y=Y.astype("M8[s]")), "wrong_dtype"),
    "text for inputs": (lambda: npz(x=X.astype(str), y=Y), "wrong_shape"),
    "nan": (lambda: npz(x=np.where(np.arange(20).reshape(10, 2) == 13, np.nan, X), y=Y), "not_finite"),
    "infinite": (lambda: npz(x=X - np.inf, y=Y), "not_finite"),
    "beyond float32": (lambda: npz(x=X.astype(float) + 1e39, y=Y), "not_finite"),
    "labels that are nan": (lambda: npz(x=X, y=np.where(Y, np.nan, 0.0)), "not_finite"),
    "one class": (lambda: npz(x=X, y=Y * 0), "one_class"),
    "one number": (lambda: npz(x=X, y=np.full(10, 0.5)), "constant_target"),
    "numbers beyond float32": (lambda: npz(x=np.zeros((30, 2)), y=np.linspace(-1, 1, 30) * 1e300), "not_finite"),
    "numbers without a range": (lambda: npz(x=np.zeros((30, 2)), y=np.linspace(-1, 1, 30) * 1.7e308), "not_finite"),
    "numbers too small to tell apart": (lambda: npz(x=X, y=np.linspace(1, 2, 10) * 1e-200), "constant_target"),
    "no rows": (lambda: npz(x=X[:0], y=Y[:0]), "empty"),
    "no columns": (lambda: npz(x=X[:, :0], y=Y), "empty"),
    "rows and labels differ": (lambda: npz(x=X, y=Y[:9]), "wrong_shape"),
    "no columns at all": (lambda: npz(x=X[:, 0], y=Y), "wrong_shape"),
    "several classes in a row": (lambda: npz(x=X, y=np.ones((10, 2))), "wrong_shape"),
    "five dimensions": (lambda: npz(x=np.zeros((10, 1, 1, 1, 1)), y=Y), "wrong_shape"),
    "images with four planes": (lambda: npz(x=np.zeros((10, 4, 5, 4), np.uint8), y=Y), "wrong_shape"),
    "images of fractions above 255": (lambda: npz(x=np.full((10, 4, 5), 255.5), y=Y), "wrong_dtype"),
    "images of fractions that are nan": (lambda: npz(x=np.full((10, 4, 5), np.nan), y=Y), "not_finite"),
    "images below zero": (lambda: npz(x=np.full((10, 4, 5), -1), y=Y), "wrong_dtype"),
    "other arrays": (lambda: npz(pictures=X, kinds=Y), "unknown_arrays"),
    "one array more": (lambda: npz(x=X, y=Y, z=Y), "unknown_arrays"),
    "parts of other shapes": (lambda: npz(x_train=X, y_train=Y, x_test=X[:, :1], y_test=Y), "wrong_shape"),
    "class that is only tested": (lambda: npz(x_train=X, y_train=Y, x_test=X, y_test=Y + 1), "class_not_trained"),
    "labels of two types": (lambda: npz(x_train=X, y_train=Y, x_test=X, y_test=Y.astype(str)), "wrong_dtype"),
    "a name that controls": (lambda: npz(x=X, y=np.array(["a", "\x1b[31m"])[Y]), "bad_name"),
    "a name that is half a letter": (lambda: npz(x=X, y=np.array(["a", "\ud800"])[Y]), "bad_name"),
    "text beyond Unicode": (
        lambda: arrays(npy((10, 2), bytes(80)), npy((10,), b"\xff" * 40, "<U1")),
        "unreadable",
    ),
    "a thousand classes too many": (
        lambda: npz(x=np.zeros((2001, 2)), y=np.arange(2001).astype(str)),
        "too_many_classes",
    ),
    "larger than may be": (
        lambda: npz(x=RANDOM.integers(0, 9, (2**20, 20), np.int8), y=np.arange(2**20) % 2),
        "too_large",
    ),
}
ZIPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "ratio": (lambda: arrays(npy((2**23, 3), bytes(3 * 2**25))), "bomb"),
    "ratio of all together": (lambda: zipped({f"a/{i}.png": bytes(2**20) for i in range(65)}), "bomb"),
    "count": (lambda: many(200_001), "too_many_entries"),
    "total": (
        lambda: zipped({f"a/{i}.png": bytes(2**20) for i in range(130)}),
        "too_large",
    ),
    "link": (lambda: named("class0/9.png", stat.S_IFLNK | 0o777, b"/etc/passwd"), "link"),
    "device": (lambda: named("class0/9.png", stat.S_IFCHR | 0o600), "link"),
    "above": (lambda: named("../class0/9.png"), "unsafe_name"),
    "above in the middle": (lambda: named("class0/../../9.png"), "unsafe_name"),
    "absolute": (lambda: named("/etc/9.png"), "unsafe_name"),
    "drive": (lambda: named("C:/class0/9.png"), "unsafe_name"),
    "backslashes": (lambda: named("..\\class0\\9.png"), "unsafe_name"),
    "NUL": (lambda: patched(named("class0/9?.png"), b"9?", b"9\0"), "unsafe_name"),
    "encrypted": (encrypted, "encrypted"),
    "bzip2": (lambda: zipped(pictures(), zipfile.ZIP_BZIP2), "unknown_packing"),
    "lzma": (lambda: zipped(pictures(), zipfile.ZIP_LZMA), "unknown_packing"),
    "the same name twice": (twice, "name_twice"),
    "nothing": (lambda: zipped({}), "unreadable"),
    "folders only": (lambda: zipped({"a/": b"", "b/": b""}), "empty"),
    "litter only": (lambda: zipped({"__MACOSX/a/._1.png": b"", "a/.DS_Store": b""}), "empty"),
    "a picture at the top": (lambda: one_more(png(np.zeros((4, 4), np.uint8)), "9.png"), "wrong_folders"),
    "other parts": (
        lambda: zipped({f"{p}/{n}": c for p in ("train", "extra") for n, c in pictures().items()}),
        "wrong_folders",
    ),
    "text named like a picture": (lambda: one_more(b"read me"), "unreadable"),
    "a picture cut short": (lambda: one_more(png(np.zeros((4, 4), np.uint8))[:-30]), "unreadable"),
    "a picture of another size": (lambda: one_more(png(np.zeros((4, 5), np.uint8))), "sizes_differ"),
    "a picture of 16 bits": (lambda: one_more(png(np.zeros((4, 4), np.uint16))), "wrong_mode"),
    "another format by name": (lambda: one_more(b"GIF89a", "class0/9.gif"), "unknown_picture_format"),
    "another format": (lambda: one_more(picture(Image.new("L", (4, 4)), "GIF")), "unreadable"),
    "PNG bomb": (lambda: one_more(png_that_says(50_000, 50_000)), "bomb"),
    "larger PNG bomb": (lambda: one_more(png_that_says(2**31 - 1, 2**31 - 1)), "bomb"),
    "PNG without pixels": (lambda: one_more(png_that_says(0, 0)), "unreadable"),
    "PNG with a text bomb": (
        lambda: one_more(png_that_says(4, 4, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**27))))),
        "unreadable",
    ),
    "one class": (lambda: zipped(pictures(classes=1)), "one_class"),
    "class that is only tested": (
        lambda: zipped(
            {f"train/{n}": c for n, c in pictures().items()} | {"test/other/1.png": pictures()["class0/0.png"]}
        ),
        "class_not_trained",
    ),
}
CSV: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "empty"),
    "empty lines": (lambda: b"\n\n\n", "empty"),
    "header only": (lambda: b"a,b,c\n", "empty"),
    "a million columns": (lambda: b",".join(b"c%d" % i for i in range(10**6)) + b"\n1\n", "too_many_columns"),
    "20,000 columns": (lambda: b",".join(b"c%d" % i for i in range(20_000)) + b"\n1\n", "too_many_columns"),
    "short row": (lambda: csv_text(NAMES, [*TABLE, [1, 2]]), "ragged_rows"),
    "long row": (lambda: csv_text(NAMES, [*TABLE, [1, 2, 3, 4]]), "ragged_rows"),
    "infinite": (lambda: csv_text(NAMES, [*TABLE, ["-inf", 2, "a"]]), "not_finite"),
    "one class": (lambda: csv_text(NAMES, [[i, 0, "a"] for i in range(9)]), "one_class"),
    "one column": (lambda: b"a\n1\n2\n3\n", "no_inputs"),
    "a name that controls": (lambda: csv_text(["a", "\x1b[31m", "c"], TABLE), "bad_name"),
    "a date as target": (lambda: csv_text(NAMES, [[i, 1, f"2026-01-{i:02}"] for i in range(1, 9)]), "wrong_dtype"),
    "text of many values only": (
        lambda: csv_text(NAMES, [[f"t{i}", f"u{i}", "ab"[i % 2]] for i in range(200)]),
        "no_inputs",
    ),
    "a quotation mark that is not closed": (lambda: b'a,b\n1,"' + b"x" * 2**24, "row_too_long"),
    "a line without an end": (lambda: b"1," * 2**20, "too_many_columns"),
    "noise": (lambda: RANDOM.bytes(5000), "not_utf8"),
    "text beyond memory": (long_cells, "memory"),
}
PARQUET: dict[str, tuple[Callable[[], bytes], str]] = {
    "magic only": (lambda: b"PAR1", "unreadable"),
    "cut short": (lambda: parquet(a=np.arange(9.0), b=Y[:9])[:-30], "unreadable"),
    "missing rows": (lambda: lying_parquet(everywhere=False), "header_lies"),
    "no rows": (lambda: parquet(a=np.zeros(0), b=np.zeros(0)), "empty"),
    "infinity": (lambda: parquet(a=np.where(Y, np.inf, 1.0), b=Y), "not_finite"),
    "no class in any row": (lambda: parquet(a=[1.0, 3.0, 2.0], b=pa.array([None] * 3, pa.string())), "missing_values"),
    "nested": (lambda: parquet(a=[[1.0], [2.0]], b=[0, 1]), "wrong_dtype"),
    "bytes": (lambda: parquet(a=[b"x", b"y"], b=[0, 1]), "wrong_dtype"),
    "dates as target": (lambda: parquet(a=[0, 1], b=pa.array([1, 2], pa.timestamp("s"))), "wrong_dtype"),
    "one class": (lambda: parquet(a=np.arange(10.0), b=Y * 0), "one_class"),
    "rows of nothing": (lambda: parquet(a=np.zeros(6 * 10**6, np.int8), b=np.zeros(6 * 10**6, np.int8)), "too_large"),
    "rows beyond memory": (lambda: parquet(a=np.zeros(2**26), b=np.zeros(2**26)), "too_large"),
}
EVERY = {"npz": NPZ, "zip": ZIPS, "csv": CSV, "parquet": PARQUET}
