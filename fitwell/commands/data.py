"""``data list``, ``fetch``, ``add`` and ``remove``: datasets on this machine, and uploads to a server."""

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
from fitwell.commands.server.serve import DEFAULT_DATA_DIR, DataDir, run_module
from fitwell.exit_codes import Exit
from fitwell.local import LocalError, child_command, lifeline
from fitwell.spec_files import SpecFileError

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
def add(
    file: Annotated[Path, typer.Argument(help=".npz, CSV, Parquet, or a zip of image folders.", dir_okay=False)],
    url: URL = None,
    name: Annotated[str | None, typer.Option("--name", help="Display name; default: the file's name.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Column to predict; default: the last.")] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="Column to leave out (repeatable).")] = None,
    task: Annotated[str | None, typer.Option("--task", help="classification or regression.")] = None,
    test_size: Annotated[float | None, typer.Option("--test-size", help="Fraction or number of test rows.")] = None,
    order: Annotated[
        str | None, typer.Option("--order", help="Split order: random, or time to test on the last rows.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the test split.")] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Convert images to grayscale.")] = False,
    as_json: JSON = False,
) -> None:
    """Upload a file and print the dataset entry for specs."""
    if not file.is_file():
        raise SpecFileError(f"File not found: {str(file)!r}.")
    options: dict[str, Any] = {"target": target, "drop": drop, "task": task, "test_size": test_size, "order": order}
    options |= {"seed": seed, "grey": grey or None}
    with Client(url) as client:
        dataset = client.datasets.upload(file, name=name, **{k: v for k, v in options.items() if v is not None})
    if as_json:
        typer.echo(dataset.model_dump_json())
        return
    shape = "×".join(map(str, dataset.shape))
    typer.echo(f"{dataset.name}: {dataset.rows_train} + {dataset.rows_test} rows of {shape}, {dataset.task}")
    for note in dataset.notes:
        typer.echo(f"  {note}")
    typer.echo(f"dataset: {json.dumps(dataset.spec)}")


@app.command()
def remove(dataset_id: str, url: URL = None) -> None:
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
