"""``queue``: the runs that train or wait, in order."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL
from fitwell.run import Run
from fitwell.terminal.console import wide_console
from fitwell.terminal.durations import duration

STATUSES = ("running", "queued", "waiting", "paused")
"""Statuses of unfinished runs, in the order of the table."""


def queue(
    url: URL = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of runs.")] = 50,
    as_json: JSON = False,
) -> None:
    """List unfinished runs: those that train first, then those that a worker claims next."""
    with Client(url) as client:
        runs = [run for status in STATUSES for run in _in_order(client, status)]
    listed = runs[:limit]
    if as_json:
        typer.echo(json.dumps([run.model_dump(mode="json") for run in listed]))
        return
    if not runs:
        typer.echo("No run is unfinished.")
        return
    table = Table()
    table.add_column("run", no_wrap=True)
    for heading in ("name", "status", "priority", "epoch", "remaining", "waits for"):
        table.add_column(heading)
    for run in listed:
        eta = run.progress.eta_seconds
        cells = (run.status, str(run.priority), f"{run.progress.epoch}/{run.progress.epochs}")
        remaining = "" if eta is None else duration(eta)
        table.add_row(run.id, escape(run.name or ""), *cells, remaining, escape(run.waiting_reason or ""))
    wide_console().print(table)
    if len(runs) > len(listed):
        typer.echo(f"{len(runs) - len(listed)} more; use --limit {len(runs)}.")


def _in_order(client: Client, status: str) -> list[Run]:
    """Return the runs of a status, those of high priority first, then oldest first."""
    return sorted(client.runs.list(status=[status]), key=lambda run: (-run.priority, run.created_at))
