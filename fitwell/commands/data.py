"""``data list``, ``fetch``, ``add`` and ``remove``: datasets of this machine, and uploads to a server."""

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
from fitwell.local import LocalError, module_command
from fitwell.spec_files import SpecFileError

app = typer.Typer(no_args_is_help=True, help="Datasets of this machine, and uploads to a server.")


@app.command("list")
def list_data(data_dir: DataDir = DEFAULT_DATA_DIR, url: URL = None, as_json: JSON = False) -> None:
    """Every dataset of this machine, and what is missing; and the uploads of the server, where one answers."""
    done = run_module("worker", "data", data_dir=data_dir)
    if done.returncode:
        raise LocalError("The datasets could not be listed.")
    every = [*json.loads(done.stdout), *_uploads(url)]
    if as_json:
        typer.echo(json.dumps(every))
        return
    table = Table("dataset", "rows (train, test)", "shape", "state")
    for found in every:
        rows, shape = " + ".join(map(str, found["rows"])), "×".join(map(str, found["shape"]))
        name = f"{found['name'] or ''} ({found['id']})" if "id" in found else found["kind"]
        table.add_row(escape(name), rows, shape, found["missing"] or "ready")
    Console().print(table)


def _uploads(url: str | None) -> list[dict[str, Any]]:
    """The uploads of the server; none, and a word on it, where no server answers."""
    with Client(url) as client:
        try:
            httpx2.get(f"{client.transport.url}/healthz", timeout=1.0)
        except httpx2.TransportError:
            typer.echo(f"No server answers at {client.transport.url}, so uploads are not listed.", err=True)
            return []
        uploads = [dataset for dataset in client.datasets.list() if dataset.source == "uploaded"]
    same = ("id", "name", "task", "shape", "missing")
    return [
        {"kind": "uploaded", "rows": [one.rows_train, one.rows_test], **one.model_dump(include=set(same))}
        for one in uploads
    ]


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help=".npz, CSV, Parquet, or a zip of image folders.", dir_okay=False)],
    url: URL = None,
    name: Annotated[str | None, typer.Option("--name", help="For people; default the file's.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Column to predict; default the last.")] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="Column to leave out (repeatable).")] = None,
    task: Annotated[str | None, typer.Option("--task", help="classification or regression.")] = None,
    test_size: Annotated[float | None, typer.Option("--test-size", help="Rows that test: a share or a number.")] = None,
    order: Annotated[str | None, typer.Option("--order", help="time: the last rows test.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Decides which rows test.")] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Make pictures grey.")] = False,
    as_json: JSON = False,
) -> None:
    """Upload a file; what a spec says to train on it is printed."""
    if not file.is_file():
        raise SpecFileError(f"There is no file {str(file)!r}.")
    asked: dict[str, Any] = {"target": target, "drop": drop, "task": task, "test_size": test_size, "order": order}
    asked |= {"seed": seed, "grey": grey or None}
    with Client(url) as client:
        dataset = client.datasets.upload(file, name=name, **{k: v for k, v in asked.items() if v is not None})
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
    """Delete an upload; refused while runs that have not ended need it."""
    with Client(url) as client:
        client.datasets.get(dataset_id).delete()
    typer.echo(f"{dataset_id} is deleted.")


@app.command()
def fetch(kind: str, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Bring a dataset into the data directory, checked."""
    environment = {**os.environ, "FITWELL_DATA_DIR": str(data_dir.expanduser().resolve())}
    command = [*module_command("worker"), "fetch", kind]
    with (
        Progress(console=Console(stderr=True)) as progress,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process,  # noqa: S603
    ):
        task = progress.add_task(kind, total=None)
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            progress.update(task, completed=said["done"], total=said["total"], description=said["file"] or kind)
    if process.returncode:
        raise typer.Exit(Exit.USAGE if process.returncode == 2 else Exit.LOCAL)
    typer.echo(f"{kind} is ready.")
