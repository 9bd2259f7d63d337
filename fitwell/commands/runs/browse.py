"""``ls``, ``show``, ``watch``, ``history``, ``download``, ``cancel`` and ``rm``: runs on a server, and studies."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Either, Label, RunID, is_study, labels_of
from fitwell.exit_codes import Exit
from fitwell.run import Run
from fitwell.study import Study
from fitwell.terminal.console import wide_console
from fitwell.terminal.run_progress import watch as watched
from fitwell.terminal.study_progress import follow, show_comparison
from fitwell.terminal.summaries import describe, describe_study, format_value


class Form(StrEnum):
    """How a history is printed."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"


def ls(
    url: URL = None,
    status: Annotated[list[str] | None, typer.Option("--status", help="Any of these (repeatable).")] = None,
    label: Label = None,
    study: Annotated[str | None, typer.Option("--study", help="Only the runs of this study.")] = None,
    filter: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option("--filter", help='Compare places: "spec.optimizer.lr >= 0.1 AND best.value < 0.3".')
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", help="created_at, best.value, last.val.loss; - for the largest first.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    as_json: JSON = False,
) -> None:
    """List runs, newest first."""
    with Client(url) as client:
        runs = list(
            client.runs.list(
                status=status or (), labels=labels_of(label), study_id=study, filter=filter, sort=sort, limit=limit
            )
        )
    if as_json:
        typer.echo(json.dumps([run.model_dump(mode="json") for run in runs]))
        return
    table = Table()
    table.add_column("run", no_wrap=True)  # it is there to be copied
    for heading in ("name", "status", "epoch", "best", "last train", "labels"):
        table.add_column(heading)
    for run in runs:
        best = f"{run.best.metric} {run.best.value:.4f} @ {run.best.epoch}" if run.best else ""
        epoch = f"{run.progress.epoch}/{run.progress.epochs}"
        labels = " ".join(f"{key}={value}" for key, value in run.labels.items())
        last = format_value(run.last.get("train.loss"))
        table.add_row(run.id, escape(run.name or ""), run.status, epoch, best, last, escape(labels))
    wide_console().print(table)


def show(which: Either, url: URL = None, as_json: JSON = False) -> None:
    """Show one run, or one study."""
    with Client(url) as client:
        found = client.studies.get(which) if is_study(which) else client.runs.get(which)
    if as_json:
        typer.echo(found.model_dump_json())
    elif isinstance(found, Run):
        describe(found)
    else:
        describe_study(found)


def watch(which: Either, url: URL = None, as_json: JSON = False) -> None:
    """Draw a run's losses live, or follow a study, to the end; exit 1 where one fails. With --json, its events."""
    with Client(url) as client:
        found: Run | Study = client.studies.get(which) if is_study(which) else client.runs.get(which)
        if as_json:
            for event in found.stream():
                typer.echo(event.model_dump_json())
            found = found.refresh()
        elif isinstance(found, Run):
            found = watched(found)
            describe(found)
        else:
            found = follow(found)
            show_comparison(found)
    failed = found.status != "succeeded" if isinstance(found, Run) else set(found.progress.by_status) != {"succeeded"}
    if failed:
        raise typer.Exit(Exit.RUN_FAILED)


def history(
    run_id: RunID,
    url: URL = None,
    form: Annotated[Form, typer.Option("--format", help="How to print it.")] = Form.CSV,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Print the losses of every epoch."""
    wanted = Form.JSON if as_json else form
    with Client(url) as client:
        answer = client.transport.request("GET", client.runs.get(run_id).path + "/history", params={"format": wanted})
    typer.echo(answer.text, nl=wanted == Form.JSON)


def logs(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Print what the workers said of a run. With --json, a line of JSON for each."""
    with Client(url) as client:
        for line in client.runs.get(run_id).log():
            typer.echo(line.model_dump_json() if as_json else f"{line.at} {line.level:7} {line.text}")


def diagnose(
    run_id: RunID,
    url: URL = None,
    reference: Annotated[str | None, typer.Option("--reference", help="A run on the same data.")] = None,
    as_json: JSON = False,
) -> None:
    """Say whether a run fits, underfits, overfits or has diverged, and what to try next."""
    with Client(url) as client:
        found = client.runs.get(run_id).diagnosis(reference)
    typer.echo(found.model_dump_json() if as_json else f"{found.verdict}. {found.explanation}")
