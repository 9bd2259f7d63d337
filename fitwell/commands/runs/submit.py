"""``submit``: queue a training run, and optionally wait for it."""

from __future__ import annotations

from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Label, Set, SpecFile, load_spec, parse_labels
from fitwell.conditions import Condition, check_conditions
from fitwell.exit_codes import Exit
from fitwell.run import Run
from fitwell.terminal.run_progress import follow
from fitwell.terminal.summaries import print_run


def submit(
    spec: SpecFile,
    url: URL = None,
    name: Annotated[str | None, typer.Option("--name", help="A display name.")] = None,
    label: Label = None,
    assignments: Set = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run; exit with 1 if it fails.")] = False,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help='Wait for the run; exit with 6 if it meets the condition: "val.loss > 0.4", "best.value > 0.3", '
            '"test.accuracy < 0.9" (repeatable). Checked before anything is submitted.',
        ),
    ] = None,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Train again even if an equal run has a result.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Submit a training run; with --wait, follow it to its end."""
    conditions = [Condition.parse(text) for text in fail_if or ()]
    body = load_spec(spec, assignments)
    if name is not None:
        body["name"] = name
    body["labels"] = {**body.get("labels", {}), **parse_labels(label)}
    with Client(url) as client:
        check_conditions(client, conditions, body)
        run = client.runs.create(reuse=not no_reuse, **body)
        waiting = wait or bool(conditions)
        if not as_json:
            typer.echo(run.id)
        if waiting:
            run = follow(run)
    if as_json:
        typer.echo(run.model_dump_json())
    elif waiting:
        print_run(run)
    if waiting:
        _exit_with_result(run, conditions)


def _exit_with_result(run: Run, conditions: list[Condition]) -> None:
    """Exit with the code for the run's status and the conditions it meets."""
    if run.status != "succeeded":
        raise typer.Exit(Exit.RUN_FAILED)
    violations = [violation for condition in conditions if (violation := condition.violation(run)) is not None]
    for violation in violations:
        typer.echo(f"fitwell: {violation}", err=True)
    if violations:
        raise typer.Exit(Exit.CONDITION)
