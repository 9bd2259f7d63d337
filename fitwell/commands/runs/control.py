"""``pause``, ``resume``, ``retry``, ``extend``, ``verify`` and ``logs``: what can be done with a run."""

from __future__ import annotations

from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, RunID
from fitwell.exit_codes import Exit
from fitwell.run import Run


def pause(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Ask a run to save its state and wait."""
    with Client(url) as client:
        _say(client.runs.get(run_id).pause(), as_json=as_json)


def resume(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Let a paused run go on from where it was, with the same bits."""
    with Client(url) as client:
        _say(client.runs.get(run_id).resume(), as_json=as_json)


def retry(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Train a run again that failed or was cancelled, from its last checkpoint."""
    with Client(url) as client:
        _say(client.runs.get(run_id).retry(), as_json=as_json)


def extend(
    run_id: RunID,
    epochs: Annotated[int, typer.Argument(min=1, help="How many there shall be in all.")],
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Let a finished run go on for more epochs, as a run of its own."""
    with Client(url) as client:
        run = client.runs.get(run_id).extend(epochs)
    typer.echo(run.model_dump_json() if as_json else run.id)


def verify(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
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


def logs(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Print what the workers said of a run. With --json, a line of JSON for each."""
    with Client(url) as client:
        for line in client.runs.get(run_id).log():
            typer.echo(line.model_dump_json() if as_json else f"{line.at} {line.level:7} {line.text}")


def _say(run: Run, *, as_json: bool) -> None:
    typer.echo(run.model_dump_json() if as_json else f"{run.id} is {run.status}")
