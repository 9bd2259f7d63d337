"""``export`` and ``report``: histories for other programs, and HTML reports."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, RunOrStudyID
from fitwell.commands.references import find
from fitwell.exporters import tensorboard, trackio, wandb
from fitwell.exporters.mlflow import Tracking
from fitwell.local import LocalError
from fitwell.run import Run
from fitwell.spec_files import SpecFileError
from fitwell.study import Study


class ExportFormat(StrEnum):
    """A format or a program to export to."""

    CSV = "csv"
    PARQUET = "parquet"
    NDJSON = "ndjson"
    JSON = "json"
    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    WANDB = "wandb"
    TRACKIO = "trackio"


def export(
    ids: Annotated[
        list[str],
        typer.Argument(metavar="RUN|STUDY...", help="Ids of runs, or of studies to export all of their runs."),
    ],
    form: Annotated[ExportFormat, typer.Option("--format", help="File format, or program to export to.")] = (
        ExportFormat.CSV
    ),
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="File (of a single run) or folder; default: the current folder. For mlflow, the server's address; "
            "default: MLFLOW_TRACKING_URI. For trackio, the folder of its projects; default: TRACKIO_DIR.",
        ),
    ] = None,
    experiment: Annotated[
        str,
        typer.Option("--experiment", help="For mlflow, name of the experiment; for wandb and trackio, of the project."),
    ] = "fitwell",
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Export the histories of runs to files or to another program; prints each destination."""
    tracking = _tracking(to) if form is ExportFormat.MLFLOW else None
    with Client(url) as client:
        resources = [find(client, identifier) for identifier in ids]
        several = len(resources) > 1 or isinstance(resources[0], Study)
        for run in _runs(resources):
            try:
                destination = _export_run(run, form, to, experiment, tracking, several=several)
            except OSError as error:
                raise LocalError(f"Cannot write to {to or Path.cwd()} ({error.strerror}).") from error
            typer.echo(json.dumps({"run_id": run.id, "exported": destination}) if as_json else destination)


def report(
    identifier: RunOrStudyID,
    to: Annotated[Path | None, typer.Option("--to", help="File or folder; default: the current folder.")] = None,
    url: URL = None,
) -> None:
    """Write a report of a run or a study as a self-contained HTML file."""
    with Client(url) as client:
        try:
            path = find(client, identifier).report(to)
        except OSError as error:
            raise LocalError(f"Cannot write to {to or Path.cwd()} ({error.strerror}).") from error
    typer.echo(path)


def _export_run(
    run: Run, form: ExportFormat, to: str | None, experiment: str, tracking: Tracking | None, *, several: bool
) -> str:
    """Export a run's history and return its destination."""
    if tracking is not None:
        return tracking.export(run, run.history, experiment=experiment)
    target = Path(to or ".")
    if form is ExportFormat.WANDB:
        return str(wandb.write(run, run.history, target, project=experiment))
    if form is ExportFormat.TRACKIO:
        return trackio.write(run, run.history, target if to else None, project=experiment)
    if form is ExportFormat.TENSORBOARD:
        return str(tensorboard.write(run, run.history, target))
    if several or (to or "").endswith(("/", os.sep)):
        target.mkdir(parents=True, exist_ok=True)
    return str(run.export(form, target))


def _runs(resources: Sequence[Run | Study]) -> Iterator[Run]:
    for resource in resources:
        if isinstance(resource, Run):
            yield resource
        else:
            yield from resource.runs()


def _tracking(to: str | None) -> Tracking:
    address = to or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not address.startswith(("http://", "https://")):
        raise SpecFileError("--format mlflow requires the address of an MLflow server: --to http://127.0.0.1:5000")
    return Tracking(address, token=os.environ.get("MLFLOW_TRACKING_TOKEN"))
