"""Differences between resolved specs, such as those of a study's arms, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ABSENT = "–"
MAX_ARMS = 24
"""Columns that fit into a table."""


@dataclass(frozen=True)
class Difference:
    """A field that differs between specs: its path and its value in each of them."""

    path: str
    values: Sequence[Any]


def differences(specs: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """Return the fields in which ``specs`` differ, in order of first appearance."""
    flat = [dict(_leaves(spec, "")) for spec in specs]
    paths = list(dict.fromkeys(path for one in flat for path in one))
    rows = (Difference(path, [one.get(path, ABSENT) for one in flat]) for path in paths)
    return [row for row in rows if any(value != row.values[0] for value in row.values)]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each leaf value with its dotted path; a list of numbers is a leaf."""
    if value is None or value in ([], {}):  # same as an absent field
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{i}")
    else:
        yield path, value
