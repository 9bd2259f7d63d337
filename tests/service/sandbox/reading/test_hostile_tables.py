"""Hostile tables: each is refused with a reason, by name, and without much memory."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from tests.service.sandbox.reading.files import read, refusal
from tests.service.sandbox.reading.test_formats import arrow_file, arrow_stream, excel
from tests.service.sandbox.reading.workbook_files import MAIN, workbook

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ARFF = "@relation r\n@attribute a real\n@attribute b {x,y}\n@data\n"


def sheet(cells: str, before: str = "") -> bytes:
    return workbook({"S": f'{before}<worksheet xmlns="{MAIN}"><sheetData>{cells}</sheetData></worksheet>'})


def rezipped(content: bytes, *, flags: int = 0, more: dict[str, bytes] | None = None) -> bytes:
    """The same zip file, with flags set in its directory and with more entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        for name, data in (more or {}).items():
            new.writestr(name, data)
    changed = bytearray(file.getvalue())
    at = changed.find(b"PK\x01\x02") if flags else -1
    while at >= 0:
        changed[at + 8] |= flags
        at = changed.find(b"PK\x01\x02", at + 4)
    return bytes(changed)


def packed(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def arrow_of(array: pa.Array, name: str = "a") -> bytes:
    file = io.BytesIO()
    batch = pa.record_batch([array], names=[name])
    with ipc.new_stream(file, batch.schema) as stream:
        stream.write_batch(batch)
    return file.getvalue()


def bad_offsets() -> bytes:
    """Texts whose offsets lead beyond their bytes."""
    offsets = np.array([0, 3, 6, 9], np.int32).tobytes()
    content = arrow_of(pa.array(["abc", "def", "ghi"]))
    assert offsets in content
    return content.replace(offsets, np.array([0, 2**29, 3, 9], np.int32).tobytes())


def parquet_of(*columns: pa.Array, names: list[str]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.table(list(columns), names=names), file)
    return file.getvalue()


def npy(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


FILES: dict[str, tuple[Callable[[], bytes | str], str]] = {
    "HTML": (lambda: b"\n <!DOCTYPE html><html><title>Log in</title>", "wrong_format"),
    "HTML after a comment": (lambda: b"<!-- x --><HTML lang='en'>", "wrong_format"),
    "JSON": (lambda: b'[{"a": 1, "b": 2}]', "wrong_format"),
    "XML": (lambda: b'<?xml version="1.0"?><a/>', "wrong_format"),
    "PDF": (lambda: b"%PDF-1.7\n", "wrong_format"),
    "PNG": (lambda: b"\x89PNG\r\n\x1a\n", "wrong_format"),
    "JPEG": (lambda: b"\xff\xd8\xff\xe0", "wrong_format"),
    "pickle": (lambda: b"\x80\x04\x95", "wrong_format"),
    "bzip2": (lambda: b"BZh91AY", "wrong_format"),
    "old workbook": (lambda: OLE + bytes(3000), "wrong_format"),
    "encrypted workbook": (lambda: OLE + bytes(70_000) + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
    "workbook with encrypted entries": (lambda: rezipped(excel(), flags=1), "encrypted"),
    "Word document": (lambda: packed({"word/document.xml": b"<a/>", "[Content_Types].xml": b"<a/>"}), "wrong_format"),
    "OpenDocument": (lambda: packed({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"}), "wrong_format"),
    "nothing": (lambda: b"", "empty"),
    "blank lines": (lambda: b"\n\n \n" * 30_000, "empty"),
    "comments only": (lambda: b"# a\n# b\n", "empty"),
    "header only": (lambda: b"a,b,c\n", "empty"),
    "NUL": (lambda: b"a,b\n1,2\n" * 9 + b"\0,1\n", "unreadable"),
    "a million columns": (lambda: b",".join(b"%d" % i for i in range(10**6)) + b"\n", "too_many_columns"),
    "20,000 columns": (lambda: b",".join(b"c%d" % i for i in range(20_000)) + b"\n1\n", "too_many_columns"),
    "open quotation mark": (lambda: b'a,b\n"1,2\n' + b"3,4\n" * 3_000_000, "row_too_long"),
    "gzip that is cut short": (lambda: gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)[:-9], "unreadable"),
    "gzip bomb": (lambda: gzip.compress(bytes(2**26), 1), "unreadable"),
    "gzip bomb of text": (lambda: gzip.compress(b"1,2\n" * 2**25, 1), "too_large"),
    "zip bomb": (lambda: packed({"a": b"1,2\n" * (2**24 + 1)}), "bomb"),
    "zip in a zip": (lambda: packed({"a": packed({"b": b"1,2\n3,4\n"})}), "unreadable"),
    "billion laughs": (
        lambda: sheet(
            '<row r="1"><c r="A1" t="str"><v>&b;</v></c></row>',
            '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>',
        ),
        "unreadable",
    ),
    "workbook of one cell far away": (
        lambda: sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="ALL1048576"><v>1</v></c></row>'),
        "too_large",
    ),
    "workbook of too many columns": (lambda: sheet('<row r="1"><c r="XFD1"><v>1</v></c></row>'), "too_many_columns"),
    "workbook bomb": (
        lambda: rezipped(excel(), more={"xl/worksheets/sheet9.xml": b"<c/>" * (2**24 + 1)}),
        "bomb",
    ),
    "workbook of no cells": (lambda: workbook({"S": []}), "empty"),
    "workbook of a header": (lambda: workbook({"S": [["a", "b"]]}), "empty"),
    "workbook that is cut short": (lambda: excel()[:-400], "unreadable"),
    "workbook of broken XML": (lambda: sheet('<row r="1"><c r="A1"><v>1</row>'), "unreadable"),
    "Arrow file that is cut short": (lambda: arrow_file()[:-200], "unreadable"),
    "Arrow stream that is cut short": (lambda: arrow_stream()[:-100], "unreadable"),
    "Arrow text beyond its bytes": (bad_offsets, "unreadable"),
    "Arrow rows of nothing": (lambda: arrow_of(pa.nulls(2**24)), "too_large"),
    "Arrow name that is not UTF-8": (
        lambda: arrow_of(pa.array([1.5, 2.5]), name="naïve").replace("ï".encode(), b"\xff\xff"),
        "unreadable",
    ),
    "Arrow lists": (lambda: arrow_of(pa.array([[1], [2]])), "wrong_dtype"),
    "Arrow of no rows": (lambda: arrow_of(pa.array([], pa.int64())), "empty"),
    "Parquet that is cut short": (lambda: parquet_of(pa.array([1]), names=["a"])[:-20], "unreadable"),
    "Parquet of text that is not UTF-8": (
        lambda: parquet_of(pa.array(["abc", "def"]), pa.array([1, 2]), names=["a", "y"]).replace(b"abc", b"ab\xe4"),
        "not_utf8",
    ),
    "Parquet of bytes": (lambda: parquet_of(pa.array([b"a"]), names=["a"]), "wrong_dtype"),
    ".npy of Python objects": (lambda: npy(np.array([[{}]], object)), "pickle"),
    ".npy of texts": (lambda: npy(np.array([["a"]])), "wrong_dtype"),
    ".npy of complex numbers": (lambda: npy(np.zeros((3, 3), complex)), "wrong_dtype"),
    ".npy of one dimension": (lambda: npy(np.zeros(3)), "wrong_shape"),
    ".npy of images": (lambda: npy(np.zeros((3, 4, 4))), "wrong_shape"),
    ".npy that is cut short": (lambda: npy(np.zeros((30, 4)))[:-1], "header_lies"),
    ".npy of no rows": (lambda: npy(np.zeros((0, 4))), "empty"),
    ".npy of a version to come": (lambda: npy(np.zeros((3, 4))).replace(b"Y\x01", b"Y\x09"), "unreadable"),
    "ARFF without data": (lambda: ARFF.replace("@data", ""), "unreadable"),
    "ARFF without rows": (lambda: ARFF, "empty"),
    "ARFF without attributes": (lambda: "@relation r\n@data\n1,2\n", "empty"),
    "ARFF of a relation": (lambda: ARFF.replace("real", "relational") + "1,x\n", "wrong_dtype"),
    "ARFF of a short row": (lambda: ARFF + "1,x\n'2'\n", "unreadable"),
    "ARFF of a short plain row": (lambda: ARFF + "1,x\n2\n", "ragged_rows"),
    "ARFF of an open quotation mark": (lambda: ARFF + "1,x\n2,'x\n", "unreadable"),
    "ARFF of a word for a number": (lambda: ARFF + "1,x\nten,x\n", "mixed_types"),
    "ARFF of a place that does not exist": (lambda: ARFF + "{0 1}\n{7 1}\n", "unreadable"),
    "ARFF of 20,000 columns": (
        lambda: "@relation r\n" + "".join(f"@attribute a{i} real\n" for i in range(20_000)) + "@data\n1\n",
        "too_many_columns",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_hostile_table_is_refused(name: str) -> None:
    make, code = FILES[name]
    refused = refusal(make())
    assert refused.code == code, refused.message
    assert 10 < len(refused.message) < 1000


def test_all_columns_that_are_no_values_are_refused_together() -> None:
    content = parquet_of(pa.array([[1]]), pa.array([1]), pa.array([{"b": 1}]), names=["a", "b", "c"])
    assert [error["column"] for error in refusal(content).report()] == ["a", "c"]


def test_many_nominal_values_of_arff_are_no_work() -> None:
    values = ",".join(f"'v {i}'" for i in range(300_000))
    table = read(f"@relation r\n@attribute a {{{values}}}\n@attribute b real\n@data\n'v 5',1\n'v 6',2\n'v 5',3\n")
    assert table.columns[0].levels == ("v 5", "v 6")


def test_deep_quotation_marks_are_one_text() -> None:
    cell = '"' * 100_001 + "x" + '"' * 100_001
    assert read(f"a,y\n{cell},1\n{cell},2\n").columns[0].levels == (cell[1:-1].replace('""', '"'),)
