"""``pause``, ``resume``, ``retry``, ``extend``, ``verify`` and ``logs``: what can be done with a run."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Either, RunID, is_study
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


def _say(run: Run, *, as_json: bool) -> None:
    typer.echo(run.model_dump_json() if as_json else f"{run.id} is {run.status}")


def cancel(which: Either, url: URL = None, as_json: JSON = False) -> None:
    """Ask a run to end, or all runs of a study."""
    with Client(url) as client:
        ended = client.studies.get(which).cancel() if is_study(which) else client.runs.get(which).cancel()
    typer.echo(ended.model_dump_json() if as_json else f"{ended.id} is {ended.status}")


def rm(which: Either, url: URL = None, as_json: JSON = False) -> None:
    """Forget a run that has ended, or a study with all its runs; with their histories and files."""
    with Client(url) as client:
        if is_study(which):
            client.studies.get(which).delete()
        else:
            client.runs.get(which).delete()
    typer.echo(json.dumps({"id": which, "deleted": True}) if as_json else f"{which} is deleted")
