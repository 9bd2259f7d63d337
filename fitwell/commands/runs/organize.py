"""``label``, ``rename``, ``clone`` and ``open``: keep runs in order, and continue from them."""

from __future__ import annotations

import copy
from typing import Annotated, Any

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, RunID, RunOrStudyID, Set, parse_labels
from fitwell.commands.references import find, find_run
from fitwell.exit_codes import Exit
from fitwell.run import Run
from fitwell.spec_files import apply_changes
from fitwell.terminal.run_progress import follow
from fitwell.terminal.summaries import print_run


def label(
    run_id: RunID,
    labels: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Labels to set.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="KEY", help="Remove a label (repeatable).")
    ] = None,
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Set or remove labels of a run, which do not affect its result; without any, print them."""
    with Client(url) as client:
        run = find_run(client, run_id)
        changed = {**run.labels, **parse_labels(labels)}
        for key in remove or ():
            if key not in changed:
                present = ", ".join(run.labels) or "no labels"
                raise typer.BadParameter(f"{run.id} has no label {key!r}; it has {present}.", param_hint="--remove")
            del changed[key]
        if changed != run.labels:
            run = run.change(labels=changed)
    if as_json:
        typer.echo(run.model_dump_json())
    else:
        typer.echo(" ".join([run.id, *(f"{key}={value}" for key, value in run.labels.items())]))


def rename(
    run_id: RunID,
    name: Annotated[str, typer.Argument(help="The new name; empty for none.")],
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Change the name of a run."""
    with Client(url) as client:
        run = find_run(client, run_id).change(name=name or None)
    typer.echo(run.model_dump_json() if as_json else f"{run.id} {run.name or 'has no name'}")


def clone(
    run_id: RunID,
    assignments: Set = None,
    name: Annotated[str | None, typer.Option("--name", help="A display name.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run; exit with 1 if it fails.")] = False,
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Submit a copy of a run with the changes of --set."""
    with Client(url) as client:
        source = find_run(client, run_id)
        spec = copy.deepcopy(source.spec)
        apply_changes(spec, assignments or ())
        metadata: dict[str, Any] = {} if name is None else {"name": name}
        run = source.clone({key: value for key, value in spec.items() if value != source.spec.get(key)}, **metadata)
        if not as_json:
            typer.echo(run.id)
        if wait:
            run = follow(run)
    _print_result(run, wait=wait, as_json=as_json)


def _print_result(run: Run, *, wait: bool, as_json: bool) -> None:
    """Print a submitted run, and exit with 1 if it was waited for and failed."""
    if as_json:
        typer.echo(run.model_dump_json())
    elif wait:
        print_run(run)
    if wait and run.status != "succeeded":
        raise typer.Exit(Exit.RUN_FAILED)


def open(  # noqa: A001 - the command's name
    identifier: RunOrStudyID,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    url: URL = None,
) -> None:
    """Open the page of a run or a study in the browser, and print its address."""
    with Client(url) as client:
        resource = find(client, identifier)
        address = client.transport.url.rstrip("/") + resource.path.removeprefix("/v1")
    typer.echo(address)
    if not no_browser:
        typer.launch(address)
