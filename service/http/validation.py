"""Pydantic's errors in plain words, for bodies and parameters alike: a pointer, what is wrong, and what would work."""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from service.errors import FieldError, SpecRefused
from service.http.names import PLAIN
from service.http.patterns import EXPECTED
from service.pointers import pointer_to

MAX_ERRORS = 100
"""Errors listed in a response; a body has room for a hundred thousand unknown fields."""
MAX_VALUE_CHARACTERS = 40
DISCRIMINATORS = ("kind", "distribution")
"""Fields that choose between the models of tagged unions."""


def invalid_body(details: Sequence[ErrorDetails], model: type[BaseModel], body: Any) -> SpecRefused:
    """Return the refusal of ``body``, which is not a valid ``model``."""
    first = details[:MAX_ERRORS]
    errors = [_body_error(detail, schema_of(model), body) for detail in first if not _is_consequence(detail, first)]
    if len(details) > MAX_ERRORS:
        return SpecRefused(f"{len(details):,} errors; these are the first.", errors=errors)
    return _refusal(errors)


def invalid_parameters(details: Sequence[Mapping[str, Any]], query: type[BaseModel] | None) -> SpecRefused:
    """Return the refusal of parameters; ``query`` is the model of the route's query, if it has one."""
    schema = {} if query is None else schema_of(query)
    return _refusal([_parameter_error(detail, schema) for detail in details[:MAX_ERRORS]])


def unknown_parameters(names: Sequence[str], known: Sequence[str]) -> SpecRefused:
    """Return the refusal of query parameters that a route does not have."""
    return _refusal([_unknown_parameter(name, known) for name in names[:MAX_ERRORS]])


@functools.cache
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the model's JSON schema."""
    return model.model_json_schema()


def schema_at(schema: Mapping[str, Any], loc: Sequence[str | int]) -> Mapping[str, Any]:
    """Return the part of a JSON schema that describes the place ``loc``; empty if the schema has no such place."""
    definitions = schema.get("$defs", {})
    here: Mapping[str, Any] = schema
    for step in loc:
        here = _resolved(here, definitions)
        mapping = here.get("discriminator", {}).get("mapping", {})
        if step in mapping:
            here = {"$ref": mapping[step]}
        elif isinstance(step, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(step) or _additional(here)
    return _resolved(here, definitions)


def _additional(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of an object's other fields; empty if it does not describe them."""
    others = schema.get("additionalProperties")
    return others if isinstance(others, Mapping) else {}


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references; of several options, return the only one that is an object, or not null."""
    if "$ref" in schema:
        return _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) > 1:
        options = [option for option in options if "$ref" in option]
    return _resolved(options[0], definitions) if len(options) == 1 else schema


def _refusal(errors: Sequence[FieldError]) -> SpecRefused:
    if len(errors) == 1:
        return SpecRefused(f"{errors[0].pointer}: {errors[0].message}", errors=errors)
    return SpecRefused(f"{len(errors)} fields are invalid.", errors=errors)


def _is_consequence(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Return whether a list is reported as too short only because some of its items are invalid."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(d["loc"][: len(place)] == place != d["loc"] for d in details)


def _body_error(detail: ErrorDetails, schema: Mapping[str, Any], body: Any) -> FieldError:
    place = _without_kinds(detail["loc"], body)
    if detail["type"] == "union_tag_invalid":
        place.append(_discriminator(detail))
    message, allowed = _explain(detail, schema, detail["loc"])
    return FieldError(pointer_to(*place), detail["type"], message, allowed)


def _discriminator(detail: Mapping[str, Any]) -> str:
    """Return the name of the field that chooses between the models of a tagged union."""
    return str(detail["ctx"]["discriminator"]).strip("'")


def _without_kinds(loc: Sequence[str | int], body: Any) -> list[str | int]:
    """Return the place without the kinds that pydantic adds for tagged unions: the body has no such steps."""
    place: list[str | int] = []
    for step in loc:
        if isinstance(body, dict) and step not in body and step in map(body.get, DISCRIMINATORS):
            continue
        place.append(step)
        try:
            body = body[step]
        except (KeyError, IndexError, TypeError):
            body = None
    return place


def _parameter_error(detail: Mapping[str, Any], schema: Mapping[str, Any]) -> FieldError:
    loc = detail["loc"]
    # The number that follows the name of a repeated parameter says which of its values is invalid.
    name = next(str(step) for step in reversed(loc) if isinstance(step, str))
    if loc[0] == "query" and detail["type"] == "extra_forbidden":
        return _unknown_parameter(name, tuple(schema.get("properties", {})))
    message, allowed = _explain(detail, schema, loc[1:])
    return FieldError(name, detail["type"], message, allowed)


def _unknown_parameter(name: str, known: Sequence[str]) -> FieldError:
    hint = _nearest(name, known) if known else " This route takes no parameters."
    return FieldError(name, "unknown_parameter", f"Unknown parameter {name!r}.{hint}", known)


def _explain(  # noqa: PLR0911 - a table
    detail: Mapping[str, Any], schema: Mapping[str, Any], loc: Sequence[str | int]
) -> tuple[str, tuple[Any, ...]]:
    """Return what is wrong and what would work, and the allowed values if they can be listed."""
    context, kind = detail.get("ctx", {}), detail["type"]
    if kind == "missing":
        return "This field is required.", ()
    if kind == "extra_forbidden":
        known = tuple(schema_at(schema, loc[:-1]).get("properties", {}))
        return f"Unknown field {loc[-1]!r}.{_nearest(str(loc[-1]), known)}", known
    if kind == "union_tag_invalid":
        known = tuple(tag.strip().strip("'") for tag in context["expected_tags"].split(","))
        return f"Unknown {_discriminator(detail)} {context['tag']!r}.{_nearest(context['tag'], known)}", known
    if kind == "union_tag_not_found":
        known = tuple(schema_at(schema, loc).get("discriminator", {}).get("mapping", {}))
        return f"A {_discriminator(detail)!r} is required.", known
    if kind == "literal_error":
        known = tuple(str(value).strip("'") for value in context["expected"].replace(" or ", ", ").split(", "))
        near = _similar(str(detail["input"]), known)
        return f"This must be one of {', '.join(known)}.{near}", known
    if kind == "value_error":
        return f"{context['error']}.", ()
    if kind == "string_pattern_mismatch" and context["pattern"] in EXPECTED:
        expected = EXPECTED[context["pattern"]]
        return f"{expected}." if context["pattern"] == PLAIN else f"{expected}, not {_short(detail['input'])}.", ()
    if kind == "finite_number":
        return "This must be a finite number, not NaN or infinity.", ()
    if kind in ("too_short", "too_long"):
        return _length_message(kind, context), ()
    return _plain(detail["msg"], detail["input"]), ()


def _length_message(kind: str, context: Mapping[str, Any]) -> str:
    """Return how many items a list must have."""
    bound, name = ("least", "min_length") if kind == "too_short" else ("most", "max_length")
    limit = context[name]
    return f"This must have at {bound} {limit:,} {'item' if limit == 1 else 'items'}, not {context['actual_length']:,}."


def _plain(message: str, value: Any) -> str:
    """Return pydantic's message in the second person, with the value if it is short."""
    message = message.replace("Input should", "This must").replace("valid ", "")
    return f"{re.sub(r'be a (?=[aeiou])', 'be an ', message)}, not {_short(value)}."


def _short(value: Any) -> str:
    """Return a value as JSON, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[: MAX_VALUE_CHARACTERS - 3]}…"


def _nearest(value: str, known: Sequence[str]) -> str:
    return _similar(value, known) or f" Known: {', '.join(known)}."


def _similar(value: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(value, known, n=3, cutoff=0.5)
    if not near:
        return ""
    return f" Did you mean {min(near, key=lambda name: abs(len(name) - len(value)))!r}?"  # 'adma': 'adam', not 'adamax'
