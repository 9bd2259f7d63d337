"""The page of every field of a run's spec and of a study's body, from their models."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from docs.cells import Links, cell, default_of, json_text, type_of
from service.catalog.editor_schemas import ForEditors
from service.catalog.routes import FAMILIES, parts_of
from service.runs.bodies import RunBody
from service.studies.bodies import StudyBody
from service.web.documentation.markdown import slug
from worker.spec.families.layer import Layer
from worker.spec.part import Part

CATALOG = "catalog.md"
ABOUT = """\
# Fields of runs and studies

Every field of the body of `POST /v1/runs` and of `POST /v1/studies`. `fitwell submit FILE` and `fitwell study FILE`
take the same fields as YAML, and the Python client takes them as parameters. `fitwell validate FILE` checks a file,
and `GET /v1/schema/run.json` and `/v1/schema/study.json` return JSON schemas, with which editors complete fields.

A *part* is an object with a `kind` and the fields of that kind. This page lists all kinds with their smallest bodies;
[the catalog](catalog.md) has their equations, references and fields. In YAML and Python, the kind alone is short for
a part without other fields: `dataset: digits`. Unknown fields are refused.

Each example shows one field, with a value that is valid in a small run or study.
"""
SUMMARIES = {
    "run": "A run is one training. `dataset`, `model` and, for models that are trained, `optimizer` are required. "
    "[Concepts](../concepts.md#run) explains the terms.",
    "study": "A study trains arms, which are changes to a base, with equal seeds. "
    "[Compare ways to train](../howto/compare.md) explains when to use which field.",
}
BODIES: Mapping[str, type[RunBody | StudyBody]] = {"run": RunBody, "study": StudyBody}
INNER_FAMILIES = {"model": ("layers",), "dataset": ("preparations",)}
"""Families of parts inside the parts of a field."""
INNER_TITLES = {"layers": "Layers of `sequential`:", "preparations": "Preparations of a table's columns, in `columns`:"}


def spec_page() -> str:
    """Return the page: the fields of a run, those of a study, and the objects in them."""
    sections = [ABOUT]
    for name in BODIES:
        sections += _body(name)
    sections.append("\n## Objects\n\nValues of fields above, and of the parts in the catalog.\n")
    for name, schema in sorted(_definitions().items()):
        description = " ".join(schema.get("description", "").replace("``", "`").split())
        sections.append(f"\n### {name}\n\n{description}\n{_table(schema)}")
    return "".join(sections)


@functools.cache
def _schema(name: str) -> dict[str, Any]:
    return BODIES[name].model_json_schema(schema_generator=ForEditors)


@functools.cache
def _definitions() -> Mapping[str, dict[str, Any]]:
    """Return the schemas of all objects that are neither parts of the catalog nor a whole spec, by name."""
    parts = {part.__name__ for family in FAMILIES for part in parts_of(family).values()}
    every = {**_schema("run")["$defs"], **_schema("study")["$defs"]}
    return {name: one for name, one in every.items() if name not in parts and "properties" in one and name != "RunSpec"}


def objects(page: str = "") -> Mapping[str, str]:
    """Return the link to each object, seen from another page if ``page`` is the path of this one."""
    return {**{name: f"{page}#{name.lower()}" for name in _definitions()}, "RunSpec": f"{page}#fields-of-a-run"}


def _links() -> Links:
    return Links(catalog=CATALOG, objects=objects())


def _body(name: str) -> Iterator[str]:
    schema = _schema(name)
    yield f"\n## Fields of a {name}\n\n{SUMMARIES[name]}\n{_table(schema, section=name)}"
    for field, one in schema["properties"].items():
        default = default_of(one, required=field in schema.get("required", ()))
        yield (
            f"\n### {name.capitalize()}: {field}\n\n{_sentence(one)}\n\n"
            f"- Type: {type_of(one, _links())}\n- Default: {default}\n"
        )
        for example in BODIES[name].model_fields[field].examples or ():
            yield f"\n```json\n{json_text({field: example})}\n```\n"
        if (family := _family(one)) is not None:
            yield from _kinds(family)
            for inner in INNER_FAMILIES.get(field, ()):
                yield f"\n{INNER_TITLES[inner]}\n{_kind_table(inner)}"


def _sentence(schema: Mapping[str, Any]) -> str:
    return cell(schema.get("description", "")).replace("``", "`")


def _table(schema: Mapping[str, Any], section: str = "") -> str:
    """Return a table of the fields of an object; in a ``section``, each links to its own heading."""
    required = schema.get("required", ())
    rows = "".join(
        f"| {f'[`{name}`](#{section}-{name})' if section else f'`{name}`'} | {cell(type_of(one, _links()))} | "
        f"{cell(default_of(one, required=name in required))} | {_sentence(one)} |\n"
        for name, one in schema["properties"].items()
    )
    return f"\n| field | type | default | |\n|---|---|---|---|\n{rows}"


def _family(schema: Mapping[str, Any]) -> str | None:
    """Return the family of the parts in a field; None if it has none."""
    for one in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
        kinds = set(one.get("discriminator", {}).get("mapping", ()))
        if kinds:
            return next((name for name in FAMILIES if kinds <= set(parts_of(name))), None)
    return None


def _kinds(family: str) -> Iterator[str]:
    """Yield the kinds of a family, and the fields that all of them have."""
    yield _kind_table(family)
    schemas = [part.model_json_schema(schema_generator=ForEditors) for part in parts_of(family).values()]
    properties = [_resolved(one)["properties"] for one in schemas]
    common = [name for name in properties[0] if name != "kind" and all(name in one for one in properties)]
    if common and len(properties) > 1:
        shared = {"properties": {name: properties[0][name] for name in common}}
        yield f"\nFields of all {family}; defaults may differ between kinds:\n{_table(shared)}"


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a part, which is a reference if the part may contain itself."""
    resolved: dict[str, Any] = schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return resolved


def _kind_table(family: str) -> str:
    """Return a table of the kinds of a family, each with its smallest body."""
    anchors = _catalog_anchors()
    rows = "".join(
        f"| [`{kind}`]({CATALOG}#{anchors[family, kind]}) | {cell(_summary(part))} | "
        f"`{cell(json.dumps(smallest(part), ensure_ascii=False))}` |\n"
        for kind, part in parts_of(family).items()
    )
    return f"\n| kind | | smallest body |\n|---|---|---|\n{rows}"


def _summary(part: type[Part]) -> str:
    return (inspect.getdoc(part) or "").partition("\n\n")[0].replace("``", "`")


def smallest(part: type[Part]) -> dict[str, Any]:
    """Return a body of a part with its required fields."""
    kind = {"kind": part.model_fields["kind"].default}
    if issubclass(part, Layer):
        return {**kind, **part.examples[0][0]}
    return kind | {name: _example(one.examples) for name, one in part.model_fields.items() if one.is_required()}


def _example(examples: Sequence[Any] | None) -> Any:
    assert examples, "a required field has examples"
    return examples[0]


@functools.cache
def _catalog_anchors() -> Mapping[tuple[str, str], str]:
    """Return the anchor of each kind on the page of the catalog, where kinds of several families are numbered."""
    anchors: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}
    for family in FAMILIES:
        for kind in ("", *parts_of(family)):
            base = slug(kind or family)
            earlier = counts.get(base, 0)
            counts[base] = earlier + 1
            anchors[family, kind] = f"{base}-{earlier}" if earlier else base
    return anchors
