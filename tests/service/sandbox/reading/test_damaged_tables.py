"""Damaged tables: read or refused, never another error; and each format in the limited process itself."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from service.sandbox import parser
from service.sandbox.parsing.options import Options
from service.sandbox.parsing.refusals import Refused
from tests.service.sandbox.reading.files import LIMITS, read
from tests.service.sandbox.reading.test_formats import FORMATS, arrow_stream

MAKERS: dict[str, Callable[[], bytes]] = {**FORMATS, "stream": arrow_stream}


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes with some replaced, removed, inserted, or cut off."""
    result = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at, some = rng.randrange(len(result) or 1), rng.randbytes(rng.randrange(1, 9))
        change = rng.choices(["replace", "remove", "insert", "cut"], [6, 2, 2, 1])[0]
        if change == "replace":
            result[at : at + 1] = some[:1]
        elif change == "remove":
            del result[at : at + len(some)]
        elif change == "insert":
            result[at:at] = some
        else:
            del result[at:]
    return bytes(result)


@pytest.mark.parametrize("form", MAKERS)
def test_damaged_table_is_read_or_refused(form: str) -> None:
    content, rng = MAKERS[form](), random.Random(form)
    for _ in range(60):
        with contextlib.suppress(Refused, MemoryError):
            read(damaged(content, rng))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["xlsx", "arff"])
def test_limited_process_reads_the_format(form: str, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(FORMATS[form]())
    result = parser.read(tmp_path, Options(target="leaves", task="regression", test_size=1), LIMITS)
    assert result.format == form
