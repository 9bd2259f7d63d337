"""Writes docs/reference from what the code says of itself: ``python -m docs.generate``, from the root of the clone.

A test fails where a page is stale.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from typer.cli import get_docs_for_click
from typer.main import get_command

import fitwell
from fitwell import cli, errors
from fitwell.catalog import Presets
from fitwell.datasets import Datasets
from fitwell.exit_codes import MEANINGS
from fitwell.runs import Runs
from fitwell.studies import Studies
from fitwell.sync_async import RemoteMethod
from fitwell.tokens import Tokens
from fitwell.webhooks import Webhooks
from service.app import create_app
from service.catalog.routes import FAMILIES, get_catalog
from service.settings import Settings

REFERENCE = Path(__file__).parent / "reference"
WRITTEN = "<!-- Written by `python -m docs.generate`; changes are made in the code that this describes. -->\n"
METHODS = ("get", "post", "patch", "put", "delete")


def command_line() -> str:
    """Every command with its options, as --help says; and the exit codes."""
    command = get_command(cli.app)
    command.epilog = None  # told in the table
    _told_whole(command)
    with command.make_context("fitwell", [], resilient_parsing=True) as context:
        told = get_docs_for_click(obj=command, ctx=cast(Any, context), name="fitwell", title="The command line")
    codes = "".join(f"| {code.value} | {words} | {more} |\n" for code, (words, more) in MEANINGS.items())
    return f"{told.strip()}\n\n## Exit codes\n\n| code | | |\n|---|---|---|\n{codes}"


def _told_whole(command: Any) -> None:
    """Let lists of commands hold whole sentences."""
    command.short_help = (command.help or "").partition("\n")[0]
    for one in getattr(command, "commands", {}).values():
        _told_whole(one)


def catalog() -> str:
    """Every part that a spec can name."""
    pages = ["# Parts of a spec\n\nWhat `GET /v1/catalog` and `fitwell catalog` tell of.\n"]
    with tempfile.TemporaryDirectory() as home:
        found = get_catalog(Settings(data_dir=Path(home))).model_dump()
    for family in FAMILIES:
        pages.append(f"\n## {family.capitalize()}\n")
        pages += [_part(part) for part in found[family]]
    return "".join(pages)


def _part(part: dict[str, Any]) -> str:
    fields = part["json_schema"].get("properties", {})
    required = part["json_schema"].get("required", ())
    rows = "".join(
        f"| `{name}` | {_cell(_type(field))} | {_default(field, required=name in required)} | "
        f"{'yes' if name in part['per_run'] else 'no'} | {_cell(field.get('description', ''))} |\n"
        for name, field in fields.items()
        if name != "kind"
    )
    table = (
        f"\n| field | type | default | own to each run of a stack | |\n|---|---|---|---|---|\n{rows}" if rows else ""
    )
    paper = "" if part["reference"] in ("", "none") else f"\nReference: {part['reference']}.\n"
    equation = f"\n```text\n{part['equation']}\n```\n" if part["equation"] else ""
    return f"\n### {part['kind']}\n\n{part['summary']}\n{equation}{paper}{table}"


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(f"`{json.dumps(one)}`" for one in field["enum"])
    for union in ("anyOf", "oneOf"):
        if union in field:
            return " or ".join(dict.fromkeys(_type(one) for one in field[union]))
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    told = ", ".join(f"{sign} {field[bound]:g}" for bound, sign in bounds.items() if bound in field)
    return f"{field.get('type', 'any')}{f' ({told})' if told else ''}"


def _default(field: dict[str, Any], *, required: bool) -> str:
    if required:
        return "required"
    return f"`{json.dumps(field['default'], ensure_ascii=False)}`" if "default" in field else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def rest() -> str:
    """Every endpoint, from the OpenAPI document."""
    document = _document()
    told = [
        "# The REST interface\n\n`GET /openapi.json` describes it for programs. Every refusal is a problem (RFC 9457) "
        "with a `code` of its own; [the Python client](python.md) has a class for each.\n"
    ]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in METHODS:
                by_tag.setdefault((operation.get("tags") or ["server"])[0], []).append(
                    _operation(method, path, operation, document["components"]["schemas"])
                )
    for tag, operations in by_tag.items():
        told += [f"\n## {tag.capitalize()}\n", *operations]
    return "".join(told)


def _document() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        document: dict[str, Any] = create_app(Settings(data_dir=Path(home))).openapi()
        return document


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    rows = "".join(
        f"| `{one['name']}` | {one['in']} | {_cell(_type(one['schema']))} | {_cell(one.get('description', ''))} |\n"
        for one in operation.get("parameters", ())
        if one["in"] != "path"
    )
    table = f"\n| parameter | in | type | |\n|---|---|---|---|\n{rows}" if rows else ""
    answers = "".join(
        f"| {status} | {_cell(answer.get('description', ''))} |\n" for status, answer in operation["responses"].items()
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    example = ""
    if body:
        name = _type(body["schema"])
        example = f"\nBody: `{name}`, such as\n\n```json\n{_json(schemas[name]['examples'][0])}\n```\n"
    said = operation.get("description") or operation.get("summary", "")
    return (
        f"\n### {method.upper()} {path}\n\n{said} (`{operation['operationId']}`)\n{table}{example}"
        f"\n| answer | |\n|---|---|\n{answers}"
    )


def _json(value: Any, indent: str = "") -> str:
    """JSON as people write it: what is short stands in a line."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + len(indent) <= 100 or not isinstance(value, dict | list):
        return flat
    deeper = f"{indent}  "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_json(one, deeper)}" for key, one in value.items()]
        return "{\n" + ",\n".join(deeper + item for item in items) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + _json(one, deeper) for one in value) + f"\n{indent}]"


RESOURCES = {
    "client": fitwell.Client.__mro__[1],
    "client.runs": Runs,
    "run": fitwell.Run,
    "client.studies": Studies,
    "study": fitwell.Study,
    "client.datasets": Datasets,
    "dataset": fitwell.Dataset,
    "client.presets": Presets,
    "client.tokens": Tokens,
    "client.webhooks": Webhooks,
}
TABLES = {"history": fitwell.History, "comparison": fitwell.Comparison}


def python() -> str:
    """Every method of the client, and the tree of errors."""
    told = [
        "# The Python client\n\n[How to use it](../howto/python.md). Of a `fitwell.Client` these methods answer; of a "
        "`fitwell.AsyncClient` the same ones are awaited, and what is iterated over is by `async for`.\n"
    ]
    for name, owner in RESOURCES.items():
        methods = [(key, one) for key, one in vars(owner).items() if isinstance(one, RemoteMethod)]
        told.append(f"\n## {name}\n\n{_first(owner)}\n\n")
        told += [f"- `{name}.{_signature(key, one, owner)}`: {_first(one)}\n" for key, one in methods]
    for name, kind in TABLES.items():
        told.append(f"\n## {name}\n\n{_first(kind)}\n\n")
        public = [(key, one) for key, one in vars(kind).items() if inspect.isfunction(one) and not key.startswith("_")]
        told += [f"- `{name}.{key}{_without_self(inspect.signature(one))}`: {_first(one)}\n" for key, one in public]
    tree = (inspect.getdoc(errors) or "").partition("\n\n")[2].partition("\n\nA problem")[0]
    told.append(
        f"\n## Errors\n\nAll are in `fitwell.errors`, the families in `fitwell` as well.\n\n```text\n{tree}\n```\n"
    )
    codes = "".join(f"| `{kind.code}` | `{kind.__name__}` | {_first(kind)} |\n" for kind in errors.refusal_classes())
    told.append(f"\n| code | class | |\n|---|---|---|\n{codes}")
    return "".join(told)


def _signature(name: str, method: Any, owner: type[Any]) -> str:
    signature = inspect.signature(getattr(owner, name) if callable(getattr(owner, name)) else method._method)
    shown = _without_self(signature)
    return (
        f"{name}{shown.partition(' -> ')[2].join((': ', ''))}"
        if type(method).__name__ == "remote_property"
        else f"{name}{shown}"
    )


def _without_self(signature: inspect.Signature) -> str:
    others = [one for name, one in signature.parameters.items() if name != "self"]
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(signature.replace(parameters=others)))


def _first(owner: Any) -> str:
    return " ".join((inspect.getdoc(owner) or "").partition("\n\n")[0].split())


def settings() -> str:
    """Every setting of service and worker."""
    fields = Settings.model_json_schema()["properties"]
    lacking = [name for name, field in fields.items() if not field.get("description")]
    assert not lacking, f"without a word on what they are: {lacking}"
    rows = "".join(
        f"| `FITWELL_{name.upper()}` | {_cell(_type(field))} | {_default(field, required=False)} | "
        f"{_cell(field['description'])} |\n"
        for name, field in fields.items()
    )
    about = (
        "Environment variables of `fitwell serve`, `fitwell api` and `fitwell worker`; all processes of one server "
        "take the same. Times are in seconds, sizes in bytes."
    )
    return f"# Settings\n\n{about}\n\n| variable | type | default | |\n|---|---|---|---|\n{rows}"


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": command_line,
    "catalog.md": catalog,
    "rest.md": rest,
    "python.md": python,
    "settings.md": settings,
}


def paginate() -> Iterator[tuple[Path, str]]:
    """Every page and what it is to hold."""
    for name, page in PAGES.items():
        yield REFERENCE / name, WRITTEN + page().strip() + "\n"


def main() -> int:
    """Write what has changed."""
    REFERENCE.mkdir(exist_ok=True)
    for path, text in paginate():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"{path} is new")
    return 0


if __name__ == "__main__":
    sys.exit(main())
