"""``data``: list and fetch datasets on this machine; add, show, change and remove uploads on a server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL
from fitwell.commands.reading_options import PAIRS, takes_reading_options
from fitwell.commands.server.serve import DEFAULT_DATA_DIR, DataDir, run_module
from fitwell.datasets import Dataset
from fitwell.exit_codes import Exit
from fitwell.local import LocalError, child_command, lifeline
from fitwell.spec_files import SpecFileError
from fitwell.terminal.console import wide_console
from fitwell.terminal.dataset_tables import columns_table, dataset_lines, options_line

DatasetID = Annotated[str, typer.Argument(metavar="DATASET", help="Id of an upload, or kind of a built-in dataset.")]

app = typer.Typer(no_args_is_help=True, help="Manage datasets on this machine, and uploads to a server.")


@app.command("list")
def list_data(data_dir: DataDir = DEFAULT_DATA_DIR, url: URL = None, as_json: JSON = False) -> None:
    """List the datasets on this machine and the uploads of the server, with missing files."""
    process = run_module("worker", "data", data_dir=data_dir)
    if process.returncode:
        raise LocalError("Listing the datasets failed; see the error above.")
    datasets = [*json.loads(process.stdout), *_uploads(url)]
    if as_json:
        typer.echo(json.dumps(datasets))
        return
    table = Table("dataset", "rows (train, test)", "shape", "state")
    for dataset in datasets:
        rows, shape = " + ".join(map(str, dataset["rows"])), "×".join(map(str, dataset["shape"]))
        name = f"{dataset['name'] or ''} ({dataset['id']})" if "id" in dataset else dataset["kind"]
        table.add_row(escape(name), rows, shape, dataset["missing"] or "ready")
    Console().print(table)


def _uploads(url: str | None) -> list[dict[str, Any]]:
    """Return the uploads of the server; if it does not respond, print a note and return an empty list."""
    with Client(url) as client:
        try:
            httpx2.get(f"{client.transport.url}/healthz", timeout=1.0)
        except httpx2.TransportError:
            typer.echo(f"No server responds at {client.transport.url}; uploads are not listed.", err=True)
            return []
        uploads = [dataset for dataset in client.datasets.list() if dataset.source == "uploaded"]
    fields = ("id", "name", "task", "shape", "missing")
    return [
        {"kind": "uploaded", "rows": [upload.rows_train, upload.rows_test], **upload.model_dump(include=set(fields))}
        for upload in uploads
    ]


@app.command()
@takes_reading_options
def add(
    file: Annotated[
        Path,
        typer.Argument(
            help="A table (CSV, Parquet, Arrow, .xlsx, ARFF), .npz, .npy, or a zip of image folders.", dir_okay=False
        ),
    ],
    reading: dict[str, Any],
    url: URL = None,
    name: Annotated[str | None, typer.Option("--name", help="Display name; default: the file's name.")] = None,
    as_json: JSON = False,
) -> None:
    """Upload a file and print the dataset entry for specs."""
    if not file.is_file():
        raise SpecFileError(f"File not found: {str(file)!r}.")
    with Client(url) as client:
        _print(client.datasets.upload(file, name=name, **reading), as_json=as_json)


@app.command()
def show(dataset_id: DatasetID, url: URL = None, as_json: JSON = False) -> None:
    """Print how a dataset was read: each column with its type, role and values, notes and warnings."""
    with Client(url) as client:
        dataset = client.datasets.get(dataset_id)
    _print(dataset, as_json=as_json)
    if not as_json and dataset.options is not None:
        typer.echo(options_line(dataset))
    if not as_json and dataset.columns:
        wide_console().print(columns_table(dataset.columns))


@app.command()
@takes_reading_options
def change(
    dataset_id: DatasetID,
    reading: dict[str, Any],
    reset: Annotated[
        list[str] | None,
        typer.Option("--reset", metavar="OPTION", help="Restore the default of an option, such as drop (repeatable)."),
    ] = None,
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Read an uploaded file again with other options, and print the new dataset; the old one stays.

    Options that are left out stay as they were. ``--type COLUMN=`` restores the detected type of a column.
    """
    changes: dict[str, Any] = {name.replace("-", "_"): None for name in reset or ()} | reading
    for name in PAIRS:
        if changes.get(name):
            changes[name] = {key: value or None for key, value in changes[name].items()}
    with Client(url) as client:
        dataset = client.datasets.get(dataset_id).update(**changes)
    if dataset.id == dataset_id:
        typer.echo("The data are the same with these options.", err=True)
    _print(dataset, as_json=as_json)


def _print(dataset: Dataset, *, as_json: bool) -> None:
    """Print a dataset with its notes and its entry for specs."""
    if as_json:
        typer.echo(dataset.model_dump_json())
        return
    for line in dataset_lines(dataset):
        typer.echo(line)
    typer.echo(f"dataset: {json.dumps(dataset.spec)}")


@app.command()
def remove(dataset_id: DatasetID, url: URL = None) -> None:
    """Delete an upload; refused while unfinished runs use it."""
    with Client(url) as client:
        client.datasets.get(dataset_id).delete()
    typer.echo(f"{dataset_id} is deleted.")


@app.command()
def fetch(kind: str, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Download a dataset into the data directory and verify its checksums."""
    environment = {**os.environ, "FITWELL_DATA_DIR": str(data_dir.expanduser().resolve())}
    command = [*child_command("worker"), "fetch", kind]
    with (
        Progress(console=Console(stderr=True)) as progress,
        subprocess.Popen(  # noqa: S603
            command, env=environment, stdin=lifeline(), stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        task = progress.add_task(kind, total=None)
        assert process.stdout is not None
        for line in process.stdout:
            status = json.loads(line)
            progress.update(task, completed=status["done"], total=status["total"], description=status["file"] or kind)
    if process.returncode:
        raise typer.Exit(Exit.USAGE if process.returncode == 2 else Exit.LOCAL)
    typer.echo(f"{kind} is ready.")
