"""``submit`` and ``validate``: from a spec file to a run."""

from __future__ import annotations

from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Label, Set, SpecFile, body_of, labels_of
from fitwell.conditions import Condition
from fitwell.exit_codes import Exit
from fitwell.run import Run
from fitwell.terminal.run_progress import follow
from fitwell.terminal.summaries import describe


def submit(
    spec: SpecFile,
    url: URL = None,
    name: Annotated[str | None, typer.Option("--name", help="For people.")] = None,
    label: Label = None,
    assignments: Set = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end; exit 1 where it fails.")] = False,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help='Wait, and exit 6 where this holds at the end: "val.loss > 0.4", "best.value > 0.3", '
            '"test.accuracy < 0.9" (repeatable).',
        ),
    ] = None,
    no_reuse: Annotated[bool, typer.Option("--no-reuse", help="Train even what has been trained before.")] = False,
    as_json: JSON = False,
) -> None:
    """Submit a training run; with --wait, follow it to its end."""
    conditions = [Condition.read(text) for text in fail_if or ()]
    body = body_of(spec, assignments)
    if name is not None:
        body["name"] = name
    body["labels"] = {**body.get("labels", {}), **labels_of(label)}
    with Client(url) as client:
        run = client.runs.create(reuse=not no_reuse, **body)
        waiting = wait or bool(conditions)
        if not as_json:
            typer.echo(run.id)
        if waiting:
            run = follow(run)
    if as_json:
        typer.echo(run.model_dump_json())
    elif waiting:
        describe(run)
    if waiting:
        _judge(run, conditions)


def _judge(run: Run, conditions: list[Condition]) -> None:
    """Exit as the run's end and the conditions say."""
    if run.status != "succeeded":
        raise typer.Exit(Exit.RUN_FAILED)
    broken = [told for told in (condition.told(run) for condition in conditions) if told is not None]
    for told in broken:
        typer.echo(f"fitwell: {told}", err=True)
    if broken:
        raise typer.Exit(Exit.CONDITION)
