"""The console that tables are printed on."""

from __future__ import annotations

from rich.console import Console


def wide_console(width: int = 140) -> Console:
    """Standard output; where it is no terminal, wide enough for a table."""
    return Console(width=None if Console().is_terminal else width)
