"""``backup``: a copy of a data directory, while it is in use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fitwell.commands.options import JSON
from fitwell.commands.server.serve import DEFAULT_DATA_DIR, DataDir, run_module
from fitwell.exit_codes import Exit
from fitwell.local import LocalError


def backup(
    target: Annotated[Path, typer.Argument(help="A directory that is not there yet.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JSON = False,
) -> None:
    """Copy database, weights, checkpoints and uploads while Fitwell runs; fitwell serve --data-dir TARGET restores.

    Every file is checked; exit 1 where one that the database names is lost. What lies in a bucket
    (FITWELL_STORAGE_URL) is brought and copied as well. Datasets that were fetched are left out.
    """
    console = Console(stderr=True)
    with console.status(f"Copying {data_dir} to {target}"):
        done = run_module("service", "backup", str(target.expanduser().absolute()), data_dir=data_dir)
    if done.returncode:
        raise LocalError("Nothing was backed up.")
    told = json.loads(done.stdout)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.echo(f"{told['path']}: the database and {told['files']} files, {told['bytes'] / 2**20:,.1f} MiB")
        for name in told["lost"]:
            typer.echo(f"lost: {name}", err=True)
    if told["lost"]:
        raise typer.Exit(Exit.RUN_FAILED)
