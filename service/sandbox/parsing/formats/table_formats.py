"""The format of a table by its first bytes, and refusals by name of files that are no tables."""

from __future__ import annotations

import re
from collections.abc import Mapping

from service.sandbox.parsing.formats.packed_files import ZIP, Bytes
from service.sandbox.parsing.options import Format
from service.sandbox.parsing.refusals import Refused

HEAD_BYTES = 2**16
TABLES: Mapping[bytes, Format] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
    b"\x93NUMPY": "npy",
    ZIP: "xlsx",
}
"""Formats by their first bytes; a stream of Arrow messages begins with the length −1."""
_AS_CSV = "Save the table as CSV, Parquet or an Excel workbook (.xlsx)"
FOREIGN: Mapping[bytes, tuple[str, str]] = {
    b"%PDF": ("a PDF document", f"{_AS_CSV}."),
    b"\x89PNG": ("a PNG image", "Send images as a zip file with a folder for each class."),
    b"\xff\xd8\xff": ("a JPEG image", "Send images as a zip file with a folder for each class."),
    b"GIF8": ("a GIF image", "Send images as PNG or JPEG, in a zip file with a folder for each class."),
    b"BM": ("a BMP image", "Send images as PNG or JPEG, in a zip file with a folder for each class."),
    b"II*\0": ("a TIFF image", "Send images as PNG or JPEG, in a zip file with a folder for each class."),
    b"MM\0*": ("a TIFF image", "Send images as PNG or JPEG, in a zip file with a folder for each class."),
    b"\x89HDF": ("an HDF5 file", f"{_AS_CSV}, or its arrays with numpy.savez."),
    b"SQLite format 3": ("an SQLite database", f"{_AS_CSV}."),
    b"MATLAB 5.0": ("a MATLAB file", f"{_AS_CSV}, or its arrays with numpy.savez."),
    b"$FL": ("an SPSS file", f"{_AS_CSV}."),
    b"<stata_dta>": ("a Stata file", f"{_AS_CSV}."),
    b"RDX": ("an R workspace", f"{_AS_CSV}, such as with write.csv."),
    b"ORC": ("an ORC file", f"{_AS_CSV}."),
    b"Obj\x01": ("an Avro file", f"{_AS_CSV}."),
    b"FEA1": ("a Feather file of version 1", "Write it again with version=2, or as Parquet."),
    b"\x80\x02": ("a Python pickle, which is never read", f"{_AS_CSV}, such as with DataFrame.to_parquet."),
    b"\x80\x03": ("a Python pickle, which is never read", f"{_AS_CSV}, such as with DataFrame.to_parquet."),
    b"\x80\x04": ("a Python pickle, which is never read", f"{_AS_CSV}, such as with DataFrame.to_parquet."),
    b"\x80\x05": ("a Python pickle, which is never read", f"{_AS_CSV}, such as with DataFrame.to_parquet."),
    b"BZh": ("compressed with bzip2", "Compress it with gzip, or send it as it is."),
    b"\xfd7zXZ": ("compressed with xz", "Compress it with gzip, or send it as it is."),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "Compress it with gzip, or send it as it is."),
    b"7z\xbc\xaf": ("a 7z archive", "Send the table itself, or in a zip file."),
    b"Rar!": ("a RAR archive", "Send the table itself, or in a zip file."),
    b"\x7fELF": ("a program", f"{_AS_CSV}."),
}
"""Files that are no tables here: what they are, and what would work."""
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
ARFF = re.compile(rb"(?:[ \t\r]*+(?:%[^\n]*+)?\n)*+[ \t]*+@relation\b", re.IGNORECASE)
HTML = re.compile(
    rb"\s*+(?:<!--.*?-->\s*+)*+<(?:!doctype\s+html|html|head|body|table|script)\b", re.IGNORECASE | re.DOTALL
)
JSON = re.compile(rb"\s*+(?:\{\s*+[\"}]|\[\s*+[\[{]|\[[^\n]*\]\s*+\Z)")
XML = re.compile(rb"\s*<\?xml\b", re.IGNORECASE)


def format_of(content: Bytes) -> Format:
    """Return the format of a table.

    Raises:
        Refused: The file is of another kind, which the message names.
    """
    head = content.head(HEAD_BYTES)
    if not head:
        raise Refused("empty", "The file is empty.")
    for first, form in TABLES.items():
        if head.startswith(first):
            return form
    if head.startswith(OLE):
        raise _ole(content)
    for first, (kind, remedy) in FOREIGN.items():
        if head.startswith(first) and not (first == b"BM" and _is_text(head)):
            raise Refused("wrong_format", f"The file is {kind}. {remedy}")
    return _text_format(head)


def text_format_of(content: Bytes) -> Format:
    """Return the format of a file that is sent as CSV: ARFF if it begins like that.

    Raises:
        Refused: The file is HTML, JSON or XML.
    """
    return _text_format(content.head(HEAD_BYTES))


def _is_text(head: bytes) -> bool:
    return b"\0" not in head


def _text_format(head: bytes) -> Format:
    text = head.removeprefix(b"\xef\xbb\xbf")
    if ARFF.match(text):
        return "arff"
    if HTML.match(text):
        message = (
            "The file is an HTML page, not a table: the address was probably that of a page, or of a log-in. Download "
            "the file itself, often called raw, and send it."
        )
        raise Refused("wrong_format", message)
    for pattern, kind in ((JSON, "JSON"), (XML, "XML")):
        if pattern.match(text):
            raise Refused("wrong_format", f"The file is {kind}. {_AS_CSV}.")
    return "csv"


def _ole(content: Bytes) -> Refused:
    """Return the refusal of an old or an encrypted workbook."""
    rest = b""
    with content.open() as file:
        while chunk := file.read(HEAD_BYTES):
            if ENCRYPTED_PACKAGE in rest + chunk:
                return Refused("encrypted", "The workbook is encrypted. Save it without a password.")
            rest = chunk[-len(ENCRYPTED_PACKAGE) :]
    message = (
        "The file is an Excel workbook of the old format (.xls) or another document of that time. Save it as .xlsx."
    )
    return Refused("wrong_format", message)
