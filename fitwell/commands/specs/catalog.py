"""``catalog``: what a spec can be made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.catalog import Catalog, Part
from fitwell.client import Client
from fitwell.commands.options import JSON, URL
from fitwell.spec_files import SpecFileError
from fitwell.terminal.console import wide_console

FAMILIES = ("datasets", "models", "regularizers", "optimizers", "schedules", "stops")


def catalog(
    kind: Annotated[str | None, typer.Argument(help="A family or a part: regularizers, dropout; default all.")] = None,
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """List the parts that a spec can name, or tell of one: its equation, its paper and its fields."""
    with Client(url) as client:
        found = client.catalog()
    parts = _parts(found, kind)
    if as_json:
        typer.echo("[" + ",".join(part.model_dump_json() for _, part in parts) + "]")
    elif kind is not None and kind not in FAMILIES:
        for family, part in parts:
            _tell(family, part)
    else:
        table = Table("family", "kind", "what it does")
        for family, part in parts:
            table.add_row(family, part.kind, escape(part.summary.partition("\n")[0]))
        wide_console().print(table)


def _parts(found: Catalog, kind: str | None) -> list[tuple[str, Part]]:
    every = [(family, part) for family in FAMILIES for part in found[family]]
    chosen = [(family, part) for family, part in every if kind in (None, family, part.kind)]
    if not chosen:
        kinds = ", ".join(part.kind for _, part in every)
        raise SpecFileError(
            f"There is no family and no part {kind!r}. Families: {', '.join(FAMILIES)}. Parts: {kinds}."
        )
    return chosen


def _tell(family: str, part: Part) -> None:
    typer.echo(f"{part.kind} ({family}): {part.summary}")
    for heading, text in (("equation", part.equation), ("reference", part.reference), ("missing", part.missing or "")):
        if text:
            typer.echo(f"  {heading}: {text}")
    for line in _fields(part):
        typer.echo(f"  {line}")


def _fields(part: Part) -> Iterator[str]:
    """A line for each field: type or choices, default, what it means, and whether runs of a stack may differ in it."""
    schema = part.json_schema
    for name, field in schema.get("properties", {}).items():
        if name == "kind":
            continue
        default = "required" if name in schema.get("required", ()) else f"default {field.get('default')!r}"
        shared = "" if name in part.per_run else " One value for all runs of a stack."
        yield f"{name}: {_type(field)}, {default}. {field.get('description', '')}{shared}"


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(map(repr, field["enum"]))
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    return str(field.get("const", field.get("type", "object")))
