"""``data list`` and ``data fetch``: the datasets of this machine."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fitwell.commands.serve import DEFAULT_DATA_DIR, DataDir, run_module
from fitwell.exits import Exit
from fitwell.local import LocalError, module

app = typer.Typer(no_args_is_help=True, help="Datasets of this machine.")


@app.command("list")
def list_data(
    data_dir: DataDir = DEFAULT_DATA_DIR, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """Every dataset, and what is missing."""
    done = run_module("worker", "data", data_dir=data_dir)
    if done.returncode:
        raise LocalError("The datasets could not be listed.")
    if as_json:
        typer.echo(done.stdout.strip())
        return
    table = Table("dataset", "rows (train, test)", "shape", "state")
    for found in json.loads(done.stdout):
        rows, shape = " + ".join(map(str, found["rows"])), "×".join(map(str, found["shape"]))
        table.add_row(found["kind"], rows, shape, found["missing"] or "ready")
    Console().print(table)


@app.command()
def fetch(kind: str, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Bring a dataset into the data directory, checked."""
    environment = {**os.environ, "FITWELL_DATA_DIR": str(data_dir.expanduser().resolve())}
    command = [*module("worker"), "fetch", kind]
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
