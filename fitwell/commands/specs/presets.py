"""``presets``: well-known experiments of the server."""

from __future__ import annotations

import json

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL
from fitwell.terminal.console import wide_console


def presets(url: URL = None, as_json: JSON = False) -> None:
    """List well-known experiments; `fitwell init --preset NAME` writes one."""
    with Client(url) as client:
        rows = client.presets.list()
    if as_json:
        typer.echo(json.dumps([row.model_dump(mode="json") for row in rows]))
        return
    table = Table()
    table.add_column("preset", no_wrap=True)
    for heading in ("title", "question", "arms"):
        table.add_column(heading)
    for row in rows:
        table.add_row(row.name, escape(row.title), escape(row.question), str(len(row.runs)))
    wide_console().print(table)
