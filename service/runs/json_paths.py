"""The places inside the JSON of a run: which of them any run can have, so that a misspelt one is told, not searched."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worker.spec.run import RunSpec

BEST = ("epoch", "metric", "value", "selected_on", "optimistic")
Schema = Mapping[str, Any]


def objection(name: str, path: str) -> str | None:
    """Why no run has anything at ``path`` of its column ``name``; None where one may."""
    if name == "spec":
        return _objection_to_spec(path)
    if name == "best" and path not in BEST:
        return f"There is no place 'best.{path}'.{_nearest('best', path, BEST)}"
    return None  # metrics and labels have names of their own


def _objection_to_spec(path: str) -> str | None:
    schemas, way = [_schema()], "spec"
    for step in path.split("."):
        here = [option for schema in schemas for option in _options(schema)]
        items = [schema["items"] for schema in here if "items" in schema]
        if items and step.isdecimal():
            schemas = items
        elif not (schemas := [schema["properties"][step] for schema in here if step in schema.get("properties", {})]):
            fields = {field: None for schema in here for field in schema.get("properties", {})}
            return f"There is no place '{way}.{step}'.{_instead(way, step, list(fields), listed=bool(items))}"
        way = f"{way}.{step}"
    return None


def _instead(way: str, step: str, fields: Sequence[str], *, listed: bool) -> str:
    if listed:
        return f" {way!r} is a list, whose items are counted from 0: '{way}.0'."
    return _nearest(way, step, fields) if fields else f" {way!r} is a single value."


def _nearest(way: str, given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, known, n=1)
    return f" Did you mean '{way}.{near[0]}'?" if near else f" {way!r} has {', '.join(known)}."


def _options(schema: Schema) -> Iterator[Schema]:
    """What a schema stands for, without references and choices."""
    if "$ref" in schema:
        yield from _options(_schema()["$defs"][schema["$ref"].rpartition("/")[2]])
        return
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if not options:
        yield schema
    for option in options:
        yield from _options(option)


@functools.cache
def _schema() -> Schema:
    return RunSpec.model_json_schema(mode="serialization")
