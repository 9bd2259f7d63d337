"""The parser's error, and the translation of other libraries' errors into it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

MAX_QUOTE_LENGTH = 200
"""Characters quoted of a file's text."""


class Refused(Exception):
    """The file is refused: a stable code, a message with the reason and what would work, and the place."""

    def __init__(self, code: str, message: str, *, place: str = "", allowed: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.place = place
        self.allowed = list(allowed)[:100]


@contextlib.contextmanager
def reading(what: str, *, place: str = "") -> Iterator[None]:
    """Translate any error of a library that reads untrusted bytes, except MemoryError.

    Raises:
        Refused: The library failed (code ``unreadable``).
    """
    try:
        yield
    except (Refused, MemoryError):
        raise
    except Exception as error:
        why = quoted(" ".join(str(error).split()) or type(error).__name__)
        raise Refused("unreadable", f"{what} cannot be read: {why}", place=place) from error


def quoted(text: str) -> str:
    """Return the beginning of a file's text, without control characters."""
    excerpt = "".join(c if c.isprintable() else "�" for c in text[: MAX_QUOTE_LENGTH + 1])
    return excerpt if len(excerpt) <= MAX_QUOTE_LENGTH else f"{excerpt[:MAX_QUOTE_LENGTH]}…"
