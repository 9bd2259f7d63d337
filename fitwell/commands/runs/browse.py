"""``ls``, ``show``, ``watch``, ``history``, ``download``, ``cancel`` and ``rm``: runs on a server, and studies."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Either, Label, RunID, is_study, labels_of, wide_console
from fitwell.exit_codes import Exit
from fitwell.local import LocalError
from fitwell.run import Run
from fitwell.study import Study
from fitwell.terminal.run_progress import watch as watched
from fitwell.terminal.study_progress import follow, show_comparison

SHOWN = ("train.loss", "train.loss_eval", "val.loss", "test.loss", "test.accuracy", "test.r2", "test.rmse")


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
        last = _number(run.last.get("train.loss"))
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


def download(
    run_id: RunID,
    name: Annotated[str, typer.Argument(help="model.onnx, model.safetensors, curve.png or .svg, predictions.png.")],
    url: URL = None,
    to: Annotated[Path | None, typer.Option("--to", help="A file or a folder; by default this one.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Of models: best (the default) or last.")] = None,
) -> None:
    """Fetch a run's model or a picture of it; prints where it is."""
    with Client(url) as client:
        run = client.runs.get(run_id)
        try:
            typer.echo(run.download(name, to, **({} if at is None else {"at": at})))
        except OSError as error:
            raise LocalError(f"The file cannot be written to {to or Path.cwd()} ({error.strerror}).") from error


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


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def describe(run: Run) -> None:
    """A run in a few lines."""
    typer.echo(f"{run.id}  {run.status}  epoch {run.progress.epoch}/{run.progress.epochs}")
    if run.reused_from:
        typer.echo(f"  the result of {run.reused_from}, which was trained from an equal spec")
    if run.waiting_reason:
        typer.echo(f"  waiting: {run.waiting_reason}")
    if run.error:
        typer.echo(f"  {run.error.code}: {run.error.message}")
    if run.best:
        optimistic = " (chosen on the test data: optimistic)" if run.best.optimistic else ""
        typer.echo(f"  best {run.best.metric} {run.best.value:.4f} at epoch {run.best.epoch}{optimistic}")
    if run.last:
        told = [f"{name} {_number(run.last[name])}" for name in SHOWN if name in run.last]
        typer.echo("  last " + "  ".join(told))


def describe_study(study: Study) -> None:
    """A study in a few lines."""
    progress = study.progress
    counts = ", ".join(f"{count} {status}" for status, count in progress.by_status.items())
    typer.echo(f"{study.id}  {study.status}  {counts}  epoch {progress.epoch}/{progress.epochs}")
    typer.echo(f"  {len(study.arms)} arms, compared with {study.baseline} by the {study.at} {study.metric}:")
    for arm in study.arms:
        typer.echo(f"    {arm.id}")
