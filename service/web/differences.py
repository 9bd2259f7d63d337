"""What differs between the arms of a study, field by field of their resolved specs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ABSENT = "–"
MOST_ARMS = 24
"""Columns that a table has room for."""


@dataclass(frozen=True)
class Difference:
    """A field that is not the same in all arms: its path, and its value in each."""

    path: str
    values: Sequence[Any]


def differences(specs: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """The fields in which ``specs`` differ, in the order in which they are met."""
    flat = [dict(_leaves(spec, "")) for spec in specs]
    paths = list(dict.fromkeys(path for one in flat for path in one))
    rows = (Difference(path, [one.get(path, ABSENT) for one in flat]) for path in paths)
    return [row for row in rows if any(value != row.values[0] for value in row.values)]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value that has nothing inside, by its dotted path; lists of numbers are values."""
    if value is None or value in ([], {}):  # as good as not there
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{i}")
    else:
        yield path, value
