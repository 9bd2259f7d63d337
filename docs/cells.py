"""Cells of generated tables: types, limits and defaults, from JSON schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.catalog.routes import FAMILIES, parts_of

BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
LARGEST_EXACT = 2**53 - 1
MAX_PLAIN = 10**9
"""Larger limits are written as powers of ten."""


@dataclass(frozen=True)
class Links:
    """Where the names of types lead."""

    catalog: str = ""
    """The page of families, relative to the one with the cell; empty on that page itself."""
    objects: Mapping[str, str] = field(default_factory=dict)
    """The target of each definition's name; others are text."""


NO_LINKS = Links()


def type_of(schema: Mapping[str, Any], links: Links = NO_LINKS) -> str:
    """Return a schema's type with its limits, as Markdown."""
    if "enum" in schema or "const" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return " or ".join(f"`{json.dumps(value)}`" for value in values)
    for union in ("anyOf", "oneOf"):
        if union in schema:
            options = (type_of(option, links) for option in schema[union])
            return _family(schema, links) or " or ".join(dict.fromkeys(options))
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}]({links.objects[name]})" if name in links.objects else name
    if schema.get("type") == "array":
        return f"list{_count(schema, 'Items')} of {type_of(schema.get('items', {}), links)}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object{_count(schema, 'Properties')} of {type_of(schema['additionalProperties'], links)}"
    limits = ", ".join(f"{sign} {_number(schema[bound])}" for bound, sign in BOUNDS.items() if bound in schema)
    return f"{schema.get('type', 'any')}{f' ({limits})' if limits else _count(schema, 'Length')}"


def _count(schema: Mapping[str, Any], unit: str) -> str:
    """Return how many items, fields or characters a value may have; empty if any number."""
    least, most = schema.get(f"min{unit}", 0), schema.get(f"max{unit}")
    if most is None:
        return f" (at least {least:,})" if least else ""
    characters = " characters" if unit == "Length" else ""
    return f" ({f'{least:,} to' if least else 'at most'} {most:,}{characters})"


def _number(value: float) -> str:
    """Return a limit as text."""
    if value == LARGEST_EXACT:
        return "2⁵³ − 1"
    text = f"{value:,.0f}" if value == int(value) and abs(value) <= MAX_PLAIN else f"{value:g}"
    return text.replace("-", "−", 1) if value < 0 else text


def _family(schema: Mapping[str, Any], links: Links) -> str:
    """Return a link to the family of the parts that a field takes; empty for other fields."""
    kinds = set(schema.get("discriminator", {}).get("mapping", ()))
    family = next((name for name in FAMILIES if kinds and kinds <= set(parts_of(name))), None)
    return f"[{family}]({links.catalog}#{family})" if family else ""


def default_of(schema: Mapping[str, Any], *, required: bool) -> str:
    """Return a field's default, as Markdown; empty if it has none."""
    if required:
        return "required"
    return f"`{json.dumps(schema['default'], ensure_ascii=False)}`" if "default" in schema else ""


def cell(text: str) -> str:
    """Return text as the content of a table's cell."""
    return " ".join(text.replace("|", "\\|").split())


def json_text(value: Any, indent: str = "") -> str:
    """Return formatted JSON with short values on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + len(indent) <= 100 or not isinstance(value, dict | list):
        return flat
    deeper = f"{indent}  "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {json_text(one, deeper)}" for key, one in value.items()]
        return "{\n" + ",\n".join(deeper + item for item in items) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + json_text(one, deeper) for one in value) + f"\n{indent}]"
