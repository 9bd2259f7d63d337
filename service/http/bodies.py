"""Request bodies: counted as they arrive, read as strict JSON, and refused in plain words with exact pointers."""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from service.errors import BadRequest, FieldError, SpecRefused, TooLarge, WrongMediaType
from service.http.body_stream import pieces
from service.http.names import NO_CONTROLS, PLAIN

MOST_ERRORS = 100
"""Places that are named, at most: a body has room for a hundred thousand unknown fields."""
M = TypeVar("M", bound=BaseModel)


async def read(request: Request, limit: int, setting: str = "FITWELL_MAX_BODY_BYTES") -> bytes:
    """The body, at most ``limit`` bytes of it, as ``setting`` says.

    Raises:
        WrongMediaType: it is not said to be JSON.
        TooLarge: there is more; what came was not kept.
        BadRequest: it broke off, or stopped arriving.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise WrongMediaType(f"The body's type is {media_type or 'not given'!r}; send Content-Type: application/json.")
    body = bytearray()
    async for chunk in pieces(request):
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"The body has more than {limit:,} bytes, the most this server takes ({setting}).")
    return bytes(body)


def parse(model: type[M], body: bytes) -> M:
    """The body as ``model``.

    Raises:
        BadRequest: it is no JSON.
        SpecRefused: it is not what ``model`` describes; every place is named.
    """
    precheck = getattr(model, "check_size", None)
    if precheck is not None:
        precheck(body.decode(errors="replace"))
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        details = error.errors(include_url=False)[:MOST_ERRORS]
        if details[0]["type"] == "json_invalid":
            raise BadRequest(f"The body is not JSON: {details[0]['ctx']['error']}.") from error
        told = [detail for detail in details if not _follows(detail, details)]
        sent = json.loads(body)
        errors = [explained(detail, schema_of(model), sent) for detail in told]
        found = f"{len(errors)} fields are wrong."
        if error.error_count() > MOST_ERRORS:
            found = f"{error.error_count():,} things are wrong; these are the first."
        raise SpecRefused(
            f"{errors[0].pointer}: {errors[0].message}" if len(errors) == 1 else found, errors=errors
        ) from error


def _follows(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Whether a list is called too short only since something in it is wrong."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(d["loc"][: len(place)] == place != d["loc"] for d in details)


@functools.cache
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema, made once."""
    return model.model_json_schema()


def explained(detail: ErrorDetails, schema: Mapping[str, Any], body: Any) -> FieldError:
    """One of pydantic's errors in plain words, with the pointer that the client can use."""
    place = _without_tags(detail["loc"], body)
    if detail["type"] == "union_tag_invalid":
        place.append("kind")
    pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in place)
    message, allowed = _message(detail, schema)
    return FieldError(pointer, detail["type"], message, allowed)


def _without_tags(loc: Sequence[str | int], body: Any) -> list[str | int]:
    """The place without the kinds that pydantic puts into it: those are no steps into the body."""
    place: list[str | int] = []
    for step in loc:
        if isinstance(body, dict) and step not in body and step == body.get("kind"):
            continue
        place.append(step)
        try:
            body = body[step]
        except (KeyError, IndexError, TypeError):
            body = None
    return place


def _message(detail: ErrorDetails, schema: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:  # noqa: PLR0911 - a table
    """What is wrong and what would work, in words and as a list."""
    context, kind = detail.get("ctx", {}), detail["type"]
    if kind == "missing":
        return "This field is required.", ()
    if kind == "extra_forbidden":
        return _unknown_field(str(detail["loc"][-1]), schema_at(schema, detail["loc"][:-1]))
    if kind == "union_tag_invalid":
        known = tuple(tag.strip().strip("'") for tag in context["expected_tags"].split(","))
        return f"There is no kind {context['tag']!r}.{_nearest(context['tag'], known)}", known
    if kind == "union_tag_not_found":
        found = schema_at(schema, detail["loc"])
        return "This needs a 'kind'.", tuple(found.get("discriminator", {}).get("mapping", {}))
    if kind == "literal_error":
        known = tuple(str(value).strip("'") for value in context["expected"].replace(" or ", ", ").split(", "))
        return f"This must be one of {', '.join(known)}.{_nearest(str(detail['input']), known)}", known
    if kind == "value_error":
        return f"{context['error']}.", ()
    if kind == "string_pattern_mismatch" and context["pattern"] == PLAIN:
        return NO_CONTROLS, ()
    if kind == "finite_number":
        return "This must be a finite number, not NaN or infinity.", ()
    return _plain(detail["msg"], detail["input"]), ()


def _plain(message: str, given: Any) -> str:
    """Pydantic's sentence, addressed to a person, with the value where it is short."""
    shown = json.dumps(given, ensure_ascii=False, default=str)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}…"
    return f"{message.replace('Input should', 'This must').replace('valid ', '')}, not {shown}."


def _unknown_field(name: str, schema: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    known = tuple(schema.get("properties", {}))
    return f"There is no field {name!r} here.{_nearest(name, known)}", known


def _nearest(given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."


def schema_at(schema: Mapping[str, Any], loc: Sequence[str | int]) -> Mapping[str, Any]:
    """The part of a JSON schema that describes the place ``loc``; empty where there is none."""
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
            here = here.get("properties", {}).get(step, {})
    return _resolved(here, definitions)


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without references, and without the null of a field that may be null."""
    if "$ref" in schema:
        return _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return _resolved(options[0], definitions) if len(options) == 1 else schema
