"""``pause``, ``resume``, ``cancel``, ``retry``, ``extend``, ``verify`` and ``rm``: act on runs and studies."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, RunID, RunOrStudyID
from fitwell.commands.references import find, find_run
from fitwell.exit_codes import Exit
from fitwell.run import Run
from fitwell.study import Study


def pause(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Pause a run; its state is saved."""
    with Client(url) as client:
        _print_status(find_run(client, run_id).pause(), as_json=as_json)


def resume(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Resume a paused run; the result is bit-identical to an uninterrupted run."""
    with Client(url) as client:
        _print_status(find_run(client, run_id).resume(), as_json=as_json)


def cancel(identifier: RunOrStudyID, url: URL = None, as_json: JSON = False) -> None:
    """Cancel a run, or all runs of a study."""
    with Client(url) as client:
        _print_status(find(client, identifier).cancel(), as_json=as_json)


def retry(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Retry a failed or cancelled run from its last checkpoint."""
    with Client(url) as client:
        _print_status(find_run(client, run_id).retry(), as_json=as_json)


def extend(
    run_id: RunID,
    epochs: Annotated[int | None, typer.Argument(min=1, help="Total number of epochs, by default the run's.")] = None,
    no_stop: Annotated[bool, typer.Option("--no-stop", help="Without the stop rules, one of which ended it.")] = False,
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Continue a finished run for more epochs, as a new run."""
    with Client(url) as client:
        run = find_run(client, run_id).extend(epochs, stop=[] if no_stop else None)
    typer.echo(run.model_dump_json() if as_json else run.id)


def verify(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Train a run again and compare the results bit by bit; exit with 1 if they differ or cannot be compared."""
    with Client(url) as client:
        verification = find_run(client, run_id).verify()
    if as_json:
        typer.echo(verification.model_dump_json())
    elif verification.outcome == "match":
        typer.echo(f"match: {verification.by} is bit-identical in every epoch")
    elif verification.outcome == "differs":
        typer.echo(f"differs: {verification.by} differs from epoch {verification.first_difference} on")
    else:
        typer.echo(f"{verification.outcome}: {verification.reason}")
    if verification.outcome != "match":
        raise typer.Exit(Exit.RUN_FAILED)


def rm(identifier: RunOrStudyID, url: URL = None, as_json: JSON = False) -> None:
    """Delete a finished run, or a study with all its runs, including histories and files."""
    with Client(url) as client:
        resource = find(client, identifier)
        resource.delete()
    typer.echo(json.dumps({"id": resource.id, "deleted": True}) if as_json else f"{resource.id} is deleted")


def _print_status(resource: Run | Study, *, as_json: bool) -> None:
    typer.echo(resource.model_dump_json() if as_json else f"{resource.id} is {resource.status}")
