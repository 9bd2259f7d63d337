"""Why a file is refused, and how what other libraries raise becomes such a reason."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

LONGEST_QUOTE = 200
"""Characters that are quoted of somebody else's text."""


class Refused(Exception):
    """The file cannot be taken: a stable code, a sentence that says why and what would work, and the place."""

    def __init__(self, code: str, message: str, *, place: str = "", allowed: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.place = place
        self.allowed = list(allowed)[:100]


@contextlib.contextmanager
def reading(what: str, *, place: str = "") -> Iterator[None]:
    """Around a library that reads a stranger's bytes: whatever it raises means that they cannot be read.

    Raises:
        Refused: with code ``unreadable``; memory that ran out is no matter of the bytes, and goes on as it is.
    """
    try:
        yield
    except (Refused, MemoryError):
        raise
    except Exception as error:
        why = quoted(" ".join(str(error).split()) or type(error).__name__)
        raise Refused("unreadable", f"{what} cannot be read: {why}", place=place) from error


def quoted(text: str) -> str:
    """The beginning of somebody else's text, without what a terminal would obey."""
    shown = "".join(c if c.isprintable() else "�" for c in text[: LONGEST_QUOTE + 1])
    return shown if len(shown) <= LONGEST_QUOTE else f"{shown[:LONGEST_QUOTE]}…"
