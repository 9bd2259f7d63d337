"""JSON pointers (RFC 6901)."""

from __future__ import annotations

from jsonpointer import escape, unescape


def pointer_to(*steps: str | int) -> str:
    """Return the pointer to the place that ``steps`` lead to."""
    return "".join(f"/{escape(str(step))}" for step in steps)


def steps_of(pointer: str) -> list[str]:
    """Return the steps of a pointer. An invalid escape (``~2``) stands for itself, so the step matches nothing."""
    return [unescape(step) for step in pointer.split("/")[1:]]
