"""Themes of drawn pictures: colors that are distinguishable with color blindness, on light or dark.

The colors of lines are those of the dashboard's style sheet.

Reference: Okabe and Ito, 2008, "Color universal design".
"""

from __future__ import annotations

from typing import NamedTuple

from service.sandbox.predicting.messages import Theme

DPI = 96
"""Pixels per inch, as in browsers."""


class ThemeColors(NamedTuple):
    """The colors of a picture."""

    ground: str
    ink: str
    faint: str
    train: str
    val: str
    test: str
    wrong: str
    others: tuple[str, ...]


THEMES: dict[Theme, ThemeColors] = {
    "light": ThemeColors(
        ground="#ffffff",
        ink="#1f2328",
        faint="#d0d7de",
        train="#0067a6",
        val="#c9500a",
        test="#00795a",
        wrong="#c9500a",
        others=("#a4468a", "#9a6b00", "#2b8fc9", "#5b4bb5", "#50565e"),
    ),
    "dark": ThemeColors(
        ground="#0d1117",
        ink="#e6edf3",
        faint="#30363d",
        train="#5cb3f0",
        val="#ff9457",
        test="#3ecf9f",
        wrong="#ff9457",
        others=("#e08cc6", "#e2b33c", "#9ad7ff", "#aa9cff", "#b4bac3"),
    ),
}


def single_line(text: str, max_length: int) -> str:
    """Return ``text`` as one line of at most ``max_length`` characters, all of them printable and valid in XML."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(line.split())
    return line if len(line) <= max_length else line[: max_length - 1] + "…"
