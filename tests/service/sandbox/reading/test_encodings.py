"""Encodings of texts."""

from __future__ import annotations

import pytest

from tests.service.sandbox.reading.files import read, refusal

TEXTS = {
    "cp1252": ("Navn,Sted\nSøren,Århus\nBjørn,Tromsø\n", 6),
    "cp1251": ("имя,город\nИван,Москва\nПётр,Казань\n", 6),
    "shift_jis": ("名前,都市\n太郎,東京\n花子,大阪\n", 6),
    "utf-8": ("Navn,Sted\nSøren,Århus\nBjørn,東京\n", 6),
    "utf-16": ("Navn,Sted\nSøren,Århus\nBjørn,東京\n", 1),
    "utf-16-le": ("Navn,Sted\nSøren,Århus\nBjørn,東京\n", 1),
    "utf-32": ("Navn,Sted\nSøren,Århus\nBjørn,東京\n", 1),
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_encoding_is_detected_or_set(encoding: str) -> None:
    text, repeats = TEXTS[encoding]
    header, *lines = text.splitlines()
    content = "\n".join([header, *(lines * repeats)]).encode(encoding)
    first, second = (line.split(",")[0] for line in lines)
    for options in ({}, {"encoding": encoding}):
        table = read(content, target=header.split(",")[0], header=True, **options)
        assert table.columns[0].levels == tuple(sorted((first, second)))
        assert bool(table.notes) == (encoding != "utf-8" and not options)


def test_symbols_alone_are_western() -> None:
    assert read("name,y\n25°C,1\n26°C,2\n25°C,1\n".encode("latin-1")).columns[0].levels == ("25°C", "26°C")


def test_late_bytes_of_another_encoding_are_detected() -> None:
    content = b"name,y\n" + b"abc,1\n" * 700_000 + "Müller,1\nGrößer,2\n".encode("latin-1")
    assert read(content).columns[0].levels == ("Größer", "Müller", "abc")


@pytest.mark.parametrize(
    ("content", "options", "code"),
    [
        (b"a,b\n\xff\xfe\x81,2\n", {"encoding": "utf-8"}, "not_utf8"),
        (b"a,b\n1,2\n", {"encoding": "klingon"}, "bad_encoding"),
        (b"a,b\n1,2\n", {"encoding": "rot13"}, "bad_encoding"),
        (b"a,b\n1,2\n", {"encoding": "base64"}, "bad_encoding"),
        (b"a,b\n1,2\n", {"encoding": "a\0b"}, "bad_encoding"),
        (b"\xff\xfea\0,\0b\0\n\0\0\xd8\n\0", {}, "not_utf8"),
        (b"a,b\n1,\0\n", {}, "unreadable"),
    ],
)
def test_bytes_that_are_not_of_the_encoding_are_refused(content: bytes, options: dict[str, str], code: str) -> None:
    assert refusal(content, **options).code == code
