"""JSON pointers (RFC 6901)."""

from __future__ import annotations

from jsonpointer import JsonPointer


def pointer_to(*steps: str | int) -> str:
    """Return the pointer to the place that ``steps`` lead to."""
    return str(JsonPointer.from_parts(steps).path)
