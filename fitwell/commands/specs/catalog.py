"""``catalog``: the parts of a spec."""

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

FAMILIES = (
    "datasets",
    "preparations",
    "models",
    "layers",
    "losses",
    "regularizers",
    "optimizers",
    "schedules",
    "stops",
)


def catalog(
    kind: Annotated[
        str | None, typer.Argument(help="Family or part, such as regularizers or dropout; default: all.")
    ] = None,
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """List the parts of a spec, or show the equation, the reference and the fields of one part."""
    with Client(url) as client:
        parts = _select(client.catalog(), kind)
    if as_json:
        typer.echo("[" + ",".join(part.model_dump_json() for _, part in parts) + "]")
    elif kind is not None and kind not in FAMILIES:
        for family, part in parts:
            _print_part(family, part)
    else:
        table = Table("family", "kind", "description")
        for family, part in parts:
            table.add_row(family, part.kind, escape(part.summary.partition("\n")[0]))
        wide_console().print(table)


def _select(catalog: Catalog, kind: str | None) -> list[tuple[str, Part]]:
    parts = [(family, part) for family in FAMILIES for part in catalog[family]]
    selected = [(family, part) for family, part in parts if kind in (None, family, part.kind)]
    if not selected:
        kinds = ", ".join(part.kind for _, part in parts)
        raise SpecFileError(f"Unknown family or part {kind!r}. Families: {', '.join(FAMILIES)}. Parts: {kinds}.")
    return selected


def _print_part(family: str, part: Part) -> None:
    typer.echo(f"{part.kind} ({family}): {part.summary}")
    for heading, text in (("equation", part.equation), ("reference", part.reference), ("missing", part.missing or "")):
        if text:
            typer.echo(f"  {heading}: {text}")
    for line in _fields(part):
        typer.echo(f"  {line}")


def _fields(part: Part) -> Iterator[str]:
    """Yield a line per field: type or choices, default, description, and whether runs of a stack share its value."""
    schema = part.json_schema
    for name, field in schema.get("properties", {}).items():
        if name == "kind":
            continue
        default = "required" if name in schema.get("required", ()) else f"default {field.get('default')!r}"
        shared = "" if name in part.per_run else " Shared by all runs of a stack."
        yield f"{name}: {_type(field)}, {default}. {field.get('description', '')}{shared}"


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(map(repr, field["enum"]))
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    return str(field.get("const", field.get("type", "object")))
