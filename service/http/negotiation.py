"""Content negotiation: which of the available media types a client prefers."""

from __future__ import annotations

from collections.abc import Sequence

import mimeparse


def preferred(accept: str, available: Sequence[str]) -> str | None:
    """Return the available type that ``accept`` names with the highest quality; the first named wins a tie.

    A wildcard stands for the first available type that it covers. Returns None if nothing is acceptable.
    """
    ranges = [_range(one, position) for position, one in enumerate(accept.split(","))]
    for negative_quality, _, kind, subtype in sorted(ranges):
        for media_type in available:
            if negative_quality < 0 and (kind, subtype) in _ranges_of(media_type):
                return media_type
    return None


def _range(text: str, position: int) -> tuple[float, int, str, str]:
    """Return a sort key and the media range; a malformed one matches nothing."""
    try:
        kind, subtype, parameters = mimeparse.parse_media_range(text)
    except mimeparse.MimeTypeParseException:
        return 0.0, position, "", ""
    return -float(parameters["q"]), position, kind, subtype


def _ranges_of(media_type: str) -> tuple[tuple[str, str], ...]:
    kind, _, subtype = media_type.partition("/")
    return (kind, subtype), (kind, "*"), ("*", "*")
