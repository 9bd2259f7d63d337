"""Durations as text, in the form that the dashboard uses."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, rounded to the smaller one before it is split."""
    if seconds < MINUTE - 0.05:  # more would round to 60.0 s
        return f"{seconds:.1f} s"
    if round(seconds) < HOUR:
        return _split(round(seconds), MINUTE, "min", "s")
    if round(seconds / MINUTE) < DAY // MINUTE:
        return _split(round(seconds / MINUTE), HOUR // MINUTE, "h", "min")
    return _split(round(seconds / HOUR), DAY // HOUR, "d", "h")


def _split(count: int, size: int, unit: str, smaller: str) -> str:
    """Return ``count`` of a smaller unit, of which ``size`` are a larger one, in both units."""
    return f"{count // size} {unit} {count % size} {smaller}"
