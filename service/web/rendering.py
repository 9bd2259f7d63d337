"""Templates and their filters. Everything is escaped except the style sheet of reports."""

from __future__ import annotations

import functools
import json
import re
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from service.callers import Caller
from service.web.assets import address
from service.web.documentation.concepts import concept
from service.web.summaries import (
    column_values,
    dataset_title,
    epoch_label,
    epoch_name,
    generalization_gap,
    held_out_loss,
    run_title,
    spec_parts,
    study_title,
)

MINUTE, HOUR, DAY = 60, 3600, 86400
HUNDRED, MANY_DIGITS = 100.0, 1e5


@functools.cache
def templates() -> Environment:
    """Return the templates with their filters and functions."""
    environment = Environment(
        loader=PackageLoader("service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "cell": cell,
        "p_value": p_value,
        "duration": duration,
        "minute": minute,
        "json": as_json,
        "breakable": breakable,
        "styles": Markup,
    }
    environment.globals |= {"asset": address, "held_out_loss": held_out_loss, "generalization_gap": generalization_gap}
    environment.globals |= {"run_title": run_title, "study_title": study_title, "spec_parts": spec_parts}
    environment.globals |= {"concept": concept}
    environment.globals |= {"dataset_title": dataset_title, "column_values": column_values}
    environment.globals |= {"epoch_name": epoch_name, "epoch_label": epoch_label}
    return environment


def render(name: str, *, caller: Caller | None = None, **context: Any) -> str:
    """Render a page for ``caller``, None if the request is not authenticated."""
    return templates().get_template(name).render(caller=caller, **context)


def number(value: float | None) -> str:
    """Format a measured value with about four digits and a typographic minus sign, as charts do."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= MANY_DIGITS:
        text = f"{size:.3g}"
    elif size >= HUNDRED:
        text = f"{size:.1f}"
    else:
        text = f"{size:.4g}" if size < 1e-3 and value else f"{size:.4f}"
    return f"−{text}" if value < 0 else text  # the minus sign


def cell(value: float | str | None) -> str:
    """Format a value of a row; missing ones are empty."""
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.10g}".replace("-", "−")


def p_value(value: float | None) -> str:
    """Format a p-value. Ties round up, as in browsers: exact tests have many, such as 0.0625."""
    return "–" if value is None else f"{value + 1e-9:.3f}"


def duration(seconds: float | None) -> str:
    """Format a duration in its two largest units, rounded to the smaller one before it is split."""
    if seconds is None:
        return "–"
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


def minute(seconds: float | None) -> str:
    """Format a time to the minute, in UTC; scripts show it relative to now."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def breakable(name: str) -> Markup:
    """Format a dotted name so that a line may break after its dots and underscores only."""
    return Markup("<wbr>").join(re.findall(r"[^._]+[._]?|[._]", name))


def as_json(value: Any) -> str:
    """Format a value as JSON, which the template escapes like any text."""
    return json.dumps(value, ensure_ascii=False)
