"""How pictures look: colours that most colour-blind people can tell apart, on a light or a dark ground.

Reference: Okabe and Ito, 2008, "Color universal design".
"""

from __future__ import annotations

from typing import NamedTuple

from service.sandbox.predicting.messages import Theme

DPI = 96
"""Pixels of an inch, as browsers have it."""


class Look(NamedTuple):
    """The colours of a picture."""

    ground: str
    ink: str
    faint: str
    train: str
    val: str
    test: str
    wrong: str
    others: tuple[str, ...]


LOOKS: dict[Theme, Look] = {
    "light": Look(
        ground="#ffffff",
        ink="#1f2328",
        faint="#d0d7de",
        train="#0072b2",
        val="#d55e00",
        test="#009e73",
        wrong="#d55e00",
        others=("#cc79a7", "#56b4e9", "#e69f00", "#555555"),
    ),
    "dark": Look(
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


def plain(text: str, most: int) -> str:
    """``text`` in one line of at most ``most`` characters, all of which can be drawn and stand in XML."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(line.split())
    return line if len(line) <= most else line[: most - 1] + "…"
