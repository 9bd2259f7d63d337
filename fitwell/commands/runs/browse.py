"""``ls``, ``show``, ``watch``, ``history``, ``logs`` and ``diagnose``: look at runs and studies."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Label, RunID, RunOrStudyID, parse_labels
from fitwell.commands.references import find, find_run
from fitwell.exit_codes import Exit
from fitwell.run import Run
from fitwell.study import Study
from fitwell.terminal.console import wide_console
from fitwell.terminal.run_progress import watch as watch_run
from fitwell.terminal.study_progress import follow, print_comparison
from fitwell.terminal.summaries import format_value, print_run, print_study
from fitwell.terminal.tables import diagnosis_table


class HistoryFormat(StrEnum):
    """An output format of ``history``."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"


def ls(
    url: URL = None,
    status: Annotated[
        list[str] | None, typer.Option("--status", help="Only runs with one of these statuses (repeatable).")
    ] = None,
    label: Label = None,
    study: Annotated[str | None, typer.Option("--study", help="Only runs of this study.")] = None,
    filter: Annotated[  # noqa: A002 - the option's name
        str | None,
        typer.Option("--filter", help='Only matching runs: "spec.optimizer.lr >= 0.1 AND best.value < 0.3".'),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            help="Field to sort by, such as created_at, best.value or last.val.loss; prefix - for descending order.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of runs.")] = 20,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only ids, for other commands.")] = False,
    as_json: JSON = False,
) -> None:
    """List runs, newest first."""
    with Client(url) as client:
        runs = list(
            client.runs.list(
                status=status or (), labels=parse_labels(label), study_id=study, filter=filter, sort=sort, limit=limit
            )
        )
    if as_json:
        typer.echo(json.dumps([run.model_dump(mode="json") for run in runs]))
        return
    if quiet:
        for run in runs:
            typer.echo(run.id)
        return
    table = Table()
    table.add_column("run", no_wrap=True)  # ids are copied from the table
    for heading in ("name", "status", "epoch", "best", "last train", "labels"):
        table.add_column(heading)
    for run in runs:
        best = f"{run.best.metric} {run.best.value:.4f} @ {run.best.epoch}" if run.best else ""
        epoch = f"{run.progress.epoch}/{run.progress.epochs}"
        labels = " ".join(f"{key}={value}" for key, value in run.labels.items())
        last = format_value(run.last.get("train.loss"))
        table.add_row(run.id, escape(run.name or ""), run.status, epoch, best, last, escape(labels))
    wide_console().print(table)


def show(identifier: RunOrStudyID, url: URL = None, as_json: JSON = False) -> None:
    """Show a run or a study."""
    with Client(url) as client:
        resource = find(client, identifier)
    if as_json:
        typer.echo(resource.model_dump_json())
    elif isinstance(resource, Run):
        print_run(resource)
    else:
        print_study(resource)


def watch(identifier: RunOrStudyID, url: URL = None, as_json: JSON = False) -> None:
    """Follow a run with live curves, or a study, to the end; exit with 1 on failure. With --json, print events."""
    with Client(url) as client:
        resource = find(client, identifier)
        if as_json:
            for event in resource.stream():
                typer.echo(event.model_dump_json())
            resource = resource.refresh()
        elif isinstance(resource, Run):
            resource = watch_run(resource)
            print_run(resource)
        else:
            resource = follow(resource)
            print_comparison(resource)
    failed = (
        resource.status != "succeeded"
        if isinstance(resource, Run)
        else set(resource.progress.by_status) != {"succeeded"}
    )
    if failed:
        raise typer.Exit(Exit.RUN_FAILED)


def history(
    run_id: RunID,
    url: URL = None,
    form: Annotated[HistoryFormat, typer.Option("--format", help="Output format.")] = HistoryFormat.CSV,
    as_json: Annotated[bool, typer.Option("--json", help="Same as --format json.")] = False,
) -> None:
    """Print the metrics of every epoch."""
    output_format = HistoryFormat.JSON if as_json else form
    with Client(url) as client:
        path = find_run(client, run_id).path + "/history"
        response = client.transport.request("GET", path, params={"format": output_format})
    typer.echo(response.text, nl=output_format == HistoryFormat.JSON)


def logs(run_id: RunID, url: URL = None, as_json: JSON = False) -> None:
    """Print the log of a run. With --json, print one JSON object per line."""
    with Client(url) as client:
        for line in find_run(client, run_id).log():
            typer.echo(line.model_dump_json() if as_json else f"{line.at} {line.level:7} {line.text}")


def diagnose(
    identifier: RunOrStudyID,
    url: URL = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="Compare a run with this run on the same data.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Diagnose a run, or each arm of a study over its seeds: whether it fits, underfits, overfits or has diverged."""
    with Client(url) as client:
        resource = find(client, identifier)
        if isinstance(resource, Study):
            if reference is not None:
                raise typer.BadParameter("A study has no --reference; diagnose one of its runs.")
            arms = resource.diagnosis()
            if as_json:
                typer.echo(arms.model_dump_json())
            else:
                wide_console().print(diagnosis_table(arms))
            return
        diagnosis = resource.diagnosis(None if reference is None else find_run(client, reference).id)
    typer.echo(diagnosis.model_dump_json() if as_json else f"{diagnosis.verdict}. {diagnosis.explanation}")
