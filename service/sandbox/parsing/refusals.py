"""The parser's error, and the translation of other libraries' errors into it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

MAX_QUOTE_LENGTH = 200
"""Characters quoted of a file's text."""
MAX_LISTED = 3
"""Names that a sentence lists."""
MAX_ALLOWED = 100
"""Accepted values that an error lists."""
MAX_ERRORS = 100
"""Errors that are reported of a file."""


class Refused(Exception):
    """The file is refused: a stable code, a message with the reason and what would work, and the place.

    ``place`` is the pointer that the client gets: a place in the file, by default ``parameter``, the option that is
    wrong or that would accept the file, or else ``column``. ``row`` is counted from 1, without the header, and ``cell``
    is the text there. ``others`` are further errors of the same file, so that a client can mend all of them at once.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        place: str = "",
        allowed: Sequence[Any] = (),
        row: int | None = None,
        column: str | None = None,
        cell: str | None = None,
        parameter: str | None = None,
        others: Sequence[Refused] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.place = place or parameter or column or ""
        self.allowed = list(allowed)[:MAX_ALLOWED]
        self.row = row
        self.column = column
        self.cell = None if cell is None else quoted(cell)
        self.parameter = parameter
        self.others = tuple(others)

    @classmethod
    def together(cls, refusals: Sequence[Refused]) -> Refused:
        """Return the first of one or more refusals, with the rest as its ``others``."""
        first, *rest = refusals
        first.others = (*first.others, *rest)
        return first

    def report(self) -> list[dict[str, Any]]:
        """Return this error and the others as JSON values, at most ``MAX_ERRORS``."""
        fields = {name: value for name, value in vars(self).items() if name != "others"}
        others = [error for other in self.others for error in other.report()]
        return [fields, *others][:MAX_ERRORS]


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


def listed(names: Sequence[str], unit: str) -> str:
    """Return the first of a file's names, and the number of the others."""
    text = ", ".join(repr(quoted(name)) for name in names[:MAX_LISTED])
    return text if len(names) <= MAX_LISTED else f"{text} and {len(names) - MAX_LISTED:,} other {unit}"


def quoted(text: str) -> str:
    """Return the beginning of a file's text, without control characters."""
    excerpt = "".join(c if c.isprintable() else "�" for c in text[: MAX_QUOTE_LENGTH + 1])
    return excerpt if len(excerpt) <= MAX_QUOTE_LENGTH else f"{excerpt[:MAX_QUOTE_LENGTH]}…"
