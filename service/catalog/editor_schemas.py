"""The JSON schemas that editors use: of a run's body, and of a study's with its merge patches spelled out.

As OpenAPI's, but for what only editors want: an ``$id``, the defaults that a factory makes (generators of clients
fail on defaults that are objects), and each kind explained where it is chosen.
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
ONLY_NULL: Schema = {**NULL, "errorMessage": "There is no such field here; only null, which removes one."}
"""``errorMessage`` is what editors say then."""


class ForEditors(GenerateJsonSchema):
    """Shows a default that a factory makes, too."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """The schema of a value with its default."""
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
    """What POST /v1/runs takes."""
    return _schema("run", "Fitwell run", RunBody)


@functools.cache
def study_schema() -> Schema:
    """What POST /v1/studies takes: its base is part of a run's body, its arms are merge patches of that."""
    study, run = _schema("study", "Fitwell study", StudyBody), copy.deepcopy(run_schema())
    definitions: dict[str, Schema] = {**run.pop("$defs"), **study["$defs"]}
    base = _Pieces(definitions, nulls=False).of_object(run)
    arm = _Pieces(definitions, nulls=True).of_object(run)
    for one in (base, arm):
        one["properties"]["seed"] = False  # the seeds of a study are the same for every arm
    added = {**run["properties"]["regularizers"], "description": "Appended to the regularizers of the base."}
    arm["properties"][ADDED] = {key: value for key, value in added.items() if key != "default"}
    definitions["Base"] = {**base, "description": "Part of a run's body: the arms may bring what is missing."}
    definitions["Arm"] = {**arm, "description": "A merge patch of the base (RFC 7396)."}
    study["properties"]["base"] = {"$ref": "#/$defs/Base", "description": "The body of a run, without a seed."}
    study["properties"]["arms"]["additionalProperties"] = {"$ref": "#/$defs/Arm"}
    return {**study, "$defs": definitions}


class _Pieces:
    """Schemas of pieces of what others describe, added to ``definitions``; with ``nulls``, of merge patches."""

    def __init__(self, definitions: dict[str, Schema], *, nulls: bool) -> None:
        self._definitions = definitions
        self._nulls = nulls

    def of(self, schema: Schema) -> Schema:
        """Part of what ``schema`` describes; lists are whole or not there."""
        if "$ref" in schema:
            return {**schema, "$ref": self._named(schema["$ref"].rpartition("/")[2])}
        for union in ("oneOf", "anyOf"):
            if union in schema:  # without its kind, a piece may fit several parts
                others = {key: value for key, value in schema.items() if key not in (union, "discriminator")}
                return {**others, "anyOf": [self.of(option) for option in schema[union]]}
        return self.of_object(schema) if "properties" in schema else schema

    def of_object(self, schema: Schema) -> Schema:
        """Every field may be missing; in a patch it may be null, which may remove what another kind of part had."""
        fields = {name: self._field(self.of(field)) for name, field in schema["properties"].items()}
        told: Schema = {key: schema[key] for key in ("title", "description") if key in schema}
        unknown = ONLY_NULL if self._nulls else False
        return {**told, "type": "object", "properties": fields, "additionalProperties": unknown}

    def _named(self, name: str) -> str:
        piece = f"{name}{'Patch' if self._nulls else 'Piece'}"
        if "properties" not in self._definitions[name]:
            return f"#/$defs/{name}"
        if piece not in self._definitions:
            self._definitions[piece] = {}  # it may hold itself
            self._definitions[piece] = self.of_object(self._definitions[name])
        return f"#/$defs/{piece}"

    def _field(self, schema: Schema) -> Schema:
        if not self._nulls:
            return schema
        told: Schema = {key: schema[key] for key in ("description", "title", "examples") if key in schema}
        value = {key: field for key, field in schema.items() if key not in (*told, "default")}
        options = value["anyOf"] if set(value) == {"anyOf"} else [value]
        return {**told, "anyOf": [*(option for option in options if option != NULL), NULL]}
