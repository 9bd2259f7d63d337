"""Templates, and how they tell numbers, times and specs. Everything is escaped, but the reports' own style sheet."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from service.callers import Caller
from service.web.assets import address
from service.web.summaries import gap_of, held_out, spec_parts, study_titled, titled

MINUTE, HOUR = 60.0, 3600.0
HUNDRED, MANY_DIGITS = 100.0, 1e5


@functools.cache
def environment() -> Environment:
    """The templates, with what they can say."""
    made = Environment(
        loader=PackageLoader("service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": number,
        "duration": duration,
        "minute": minute,
        "told": told,
        "styles": Markup,
    }
    made.globals |= {"asset": address, "held_out": held_out, "gap_of": gap_of, "spec_parts": spec_parts}
    made.globals |= {"titled": titled, "study_titled": study_titled}
    return made


def rendered(name: str, *, caller: Caller | None = None, **context: Any) -> str:
    """A page for ``caller``; None where it is not known who asks."""
    return environment().get_template(name).render(caller=caller, **context)


def number(value: float | None) -> str:
    """A measured value, in about four digits, as the charts tell it."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= MANY_DIGITS:
        return f"{value:.3g}"
    if size >= HUNDRED:
        return f"{value:.1f}"
    return f"{value:.4g}" if size < 1e-3 and value else f"{value:.4f}"


def duration(seconds: float | None) -> str:
    """A length of time in the two units that matter."""
    if seconds is None:
        return "–"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:.0f} s"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"


def minute(seconds: float | None) -> str:
    """A moment, to the minute, in UTC; the browser shows it in its own zone."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def told(value: Any) -> str:
    """A value as JSON text, for an attribute or a block; it is escaped there as every text is."""
    return json.dumps(value, ensure_ascii=False)
