"""Paths inside the JSON of a run: paths that no run can have, such as misspelled ones, are refused."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worker.spec.run import RunSpec

BEST = ("epoch", "metric", "value", "selected_on", "optimistic")
Schema = Mapping[str, Any]


def objection(name: str, path: str) -> str | None:
    """Return why no run can have ``path`` in its column ``name``, or None if a run can."""
    if name == "spec":
        return _objection_to_spec(path)
    if name == "best" and path not in BEST:
        return f"Unknown field 'best.{path}'.{_nearest('best', path, BEST)}"
    return None  # the names of metrics and labels are free


def _objection_to_spec(path: str) -> str | None:
    schemas, parent = [_schema()], "spec"
    for step in path.split("."):
        here = [option for schema in schemas for option in _options(schema)]
        items = [schema["items"] for schema in here if "items" in schema]
        if items and step.isdecimal():
            schemas = items
        elif not (schemas := [schema["properties"][step] for schema in here if step in schema.get("properties", {})]):
            fields = {field: None for schema in here for field in schema.get("properties", {})}
            return f"Unknown field '{parent}.{step}'.{_hint(parent, step, list(fields), listed=bool(items))}"
        parent = f"{parent}.{step}"
    return None


def _hint(parent: str, step: str, fields: Sequence[str], *, listed: bool) -> str:
    if listed:
        return f" {parent!r} is a list with indexes from 0: '{parent}.0'."
    return _nearest(parent, step, fields) if fields else f" {parent!r} is a single value."


def _nearest(parent: str, step: str, fields: Sequence[str]) -> str:
    matches = difflib.get_close_matches(step, fields, n=1)
    return f" Did you mean '{parent}.{matches[0]}'?" if matches else f" {parent!r} has {', '.join(fields)}."


def _options(schema: Schema) -> Iterator[Schema]:
    """Yield the schemas that a schema stands for, with references and choices resolved."""
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
