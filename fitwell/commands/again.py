"""``extend``, ``verify`` and ``logs``: more of a run that is there."""

from __future__ import annotations

from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.runs import JSON, URL
from fitwell.exits import Exit


def extend(
    run_id: str,
    epochs: Annotated[int, typer.Argument(min=1, help="How many there shall be in all.")],
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Let a finished run go on for more epochs, as a run of its own."""
    with Client(url) as client:
        run = client.runs.get(run_id).extend(epochs)
    typer.echo(run.model_dump_json() if as_json else run.id)


def verify(run_id: str, url: URL = None, as_json: JSON = False) -> None:
    """Train a run once more and compare every bit; exit 1 where one differs or they cannot be compared."""
    with Client(url) as client:
        found = client.runs.get(run_id).verify()
    if as_json:
        typer.echo(found.model_dump_json())
    elif found.outcome == "match":
        typer.echo(f"match: {found.by} has the same bits in every epoch")
    elif found.outcome == "differs":
        typer.echo(f"differs: {found.by} has other bits from epoch {found.first_difference} on")
    else:
        typer.echo(f"{found.outcome}: {found.reason}")
    if found.outcome != "match":
        raise typer.Exit(Exit.RUN_FAILED)


def logs(run_id: str, url: URL = None, as_json: JSON = False) -> None:
    """Print what the workers said of a run."""
    with Client(url) as client:
        for line in client.runs.get(run_id).log():
            typer.echo(line.model_dump_json() if as_json else f"{line.at} {line.level:7} {line.text}")
