"""Themes of drawn pictures: colors that are distinguishable with color blindness, on light or dark.

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
        train="#0072b2",
        val="#d55e00",
        test="#009e73",
        wrong="#d55e00",
        others=("#cc79a7", "#56b4e9", "#e69f00", "#555555"),
    ),
    "dark": ThemeColors(
        ground="#0d1117",
        ink="#e6edf3",
        faint="#30363d",
        train="#56b4e9",
        val="#ff9d4d",
        test="#2fd3a2",
        wrong="#ff9d4d",
        others=("#e7a4cb", "#9ad4f5", "#f0e442", "#9aa4ae"),
    ),
}


def single_line(text: str, max_length: int) -> str:
    """Return ``text`` as one line of at most ``max_length`` characters, all of them printable and valid in XML."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(line.split())
    return line if len(line) <= max_length else line[: max_length - 1] + "…"
