"""The console for tables."""

from __future__ import annotations

from rich.console import Console


def wide_console(width: int = 140) -> Console:
    """Return a console on standard output; ``width`` applies if it is not a terminal."""
    return Console(width=None if Console().is_terminal else width)
