"""JSON schemas for editors: of a run's body, and of a study's body including its merge patches.

They extend OpenAPI's schemas with an ``$id``, defaults from factories (client generators fail on defaults that are
objects), and a description of each kind where it is chosen.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from service.runs.bodies import RunBody
from service.runs.patches import ADDED
from service.studies.bodies import StudyBody

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
NULL: Schema = {"type": "null"}
ONLY_NULL: Schema = {**NULL, "errorMessage": "Unknown field; only null is allowed, which removes it."}
"""Editors show ``errorMessage``."""


class ForEditors(GenerateJsonSchema):
    """A generator that includes defaults from factories."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema of a value with its default."""
        make: Callable[[], Any] | None = schema.get("default_factory")  # type: ignore[assignment]
        if make is not None and not schema.get("default_factory_takes_data"):
            schema = core_schema.with_default_schema(schema["schema"], default=make())
        return super().default_schema(schema)


def _schema(name: str, title: str, model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema(schema_generator=ForEditors)
    for part in schema["$defs"].values():
        kind = part.get("properties", {}).get("kind")
        if kind is not None:
            kind.setdefault("description", part.get("description", ""))
    named = {"$schema": DIALECT, "$id": f"urn:fitwell:schema:{name}", "title": title}
    return {**schema, **named, "description": inspect.getdoc(model)}


@functools.cache
def run_schema() -> Schema:
    """Return the schema of the body of POST /v1/runs."""
    return _schema("run", "Fitwell run", RunBody)


@functools.cache
def study_schema() -> Schema:
    """Return the schema of the body of POST /v1/studies: a base, which is a partial run, and merge patches of it."""
    study, run = _schema("study", "Fitwell study", StudyBody), copy.deepcopy(run_schema())
    definitions: dict[str, Schema] = {**run.pop("$defs"), **study["$defs"]}
    base = _Pieces(definitions, nulls=False).of_object(run)
    arm = _Pieces(definitions, nulls=True).of_object(run)
    for one in (base, arm):
        one["properties"]["seed"] = False  # the seeds of a study are the same for every arm
    added = {**run["properties"]["regularizers"], "description": "Appended to the regularizers of the base."}
    arm["properties"][ADDED] = {key: value for key, value in added.items() if key != "default"}
    definitions["Base"] = {**base, "description": "A partial run: arms may add the missing fields."}
    definitions["Arm"] = {**arm, "description": "A merge patch of the base (RFC 7396)."}
    study["properties"]["base"] = {"$ref": "#/$defs/Base", "description": "The body of a run, without a seed."}
    study["properties"]["arms"]["additionalProperties"] = {"$ref": "#/$defs/Arm"}
    return {**study, "$defs": definitions}


class _Pieces:
    """Schemas of partial objects, added to ``definitions``; with ``nulls``, of merge patches."""

    def __init__(self, definitions: dict[str, Schema], *, nulls: bool) -> None:
        self._definitions = definitions
        self._nulls = nulls

    def of(self, schema: Schema) -> Schema:
        """Return the schema of a part of what ``schema`` describes; lists are never partial."""
        if "$ref" in schema:
            return {**schema, "$ref": self._named(schema["$ref"].rpartition("/")[2])}
        for union in ("oneOf", "anyOf"):
            if union in schema:  # without its kind, a partial object may fit several parts
                others = {key: value for key, value in schema.items() if key not in (union, "discriminator")}
                return {**others, "anyOf": [self.of(option) for option in schema[union]]}
        return self.of_object(schema) if "properties" in schema else schema

    def of_object(self, schema: Schema) -> Schema:
        """Return the schema with all fields optional; in a patch they may be null, which removes them."""
        fields = {name: self._field(self.of(field)) for name, field in schema["properties"].items()}
        annotations: Schema = {key: schema[key] for key in ("title", "description") if key in schema}
        unknown = ONLY_NULL if self._nulls else False
        return {**annotations, "type": "object", "properties": fields, "additionalProperties": unknown}

    def _named(self, name: str) -> str:
        piece = f"{name}{'Patch' if self._nulls else 'Piece'}"
        if "properties" not in self._definitions[name]:
            return f"#/$defs/{name}"
        if piece not in self._definitions:
            self._definitions[piece] = {}  # it may be recursive
            self._definitions[piece] = self.of_object(self._definitions[name])
        return f"#/$defs/{piece}"

    def _field(self, schema: Schema) -> Schema:
        if not self._nulls:
            return schema
        annotations: Schema = {key: schema[key] for key in ("description", "title", "examples") if key in schema}
        value = {key: field for key, field in schema.items() if key not in (*annotations, "default")}
        options = value["anyOf"] if set(value) == {"anyOf"} else [value]
        return {**annotations, "anyOf": [*(option for option in options if option != NULL), NULL]}
