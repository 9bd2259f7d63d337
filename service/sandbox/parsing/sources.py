"""The result of reading a format: rows and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.sandbox.parsing.options import Format
from service.sandbox.parsing.refusals import Refused, quoted

Values = np.ndarray[Any, Any]
MAX_COLUMNS = 10_000
MAX_NAME_LENGTH = 100
MAX_NAMES_LENGTH = 200_000


@dataclass(frozen=True)
class Named:
    """Labels as numbers, and the names of the numbers."""

    codes: Values
    names: Sequence[str]


@dataclass
class Source:
    """The rows of a file. ``x`` is one array, or a training and a test part; ``y`` is of all rows in that order.

    Images are uint8 (N, H, W) or (N, C, H, W), tables float32 (N, D).
    """

    format: Format
    x: Sequence[Values]
    y: Named | Values
    columns: Sequence[str] | None = None
    target: str | None = None
    notes: list[str] = field(default_factory=list)
    validates: Values | None = None
    """Whether each row of the first of two parts validates, bool; None if the run decides."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return tuple(self.x[0].shape[1:])


def check_size(size: int, most: int) -> None:
    """Check the size of a dataset before allocating memory.

    Raises:
        Refused: The dataset is larger than ``most`` bytes.
    """
    if size > most:
        raise Refused(
            "too_large",
            f"The dataset would be {size:,} bytes unpacked; this server takes at most {most:,} "
            "(FITWELL_MAX_DATASET_BYTES).",
        )


def check_names(names: Sequence[str], what: str) -> None:
    """See that names can be stored and shown: not empty, not long, without control characters, none twice.

    Raises:
        Refused: one of them is not so.
    """
    for name in names:
        encodable = name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name)
        if not name or len(name) > MAX_NAME_LENGTH or not encodable or any(ord(c) < 32 or ord(c) == 127 for c in name):
            why = f"has 1 to {MAX_NAME_LENGTH} characters and none that controls"
            raise Refused("bad_name", f"The {what} {quoted(name)!r} cannot be used: a name {why}.")
    if sum(map(len, names)) > MAX_NAMES_LENGTH:
        raise Refused("bad_name", f"The names of all {what}s together have more than {MAX_NAMES_LENGTH:,} characters.")
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise Refused("name_twice", f"Two {what}s are called {twice!r}; give each its own name.", place=twice)
