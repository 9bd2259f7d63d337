"""``backup``: copy a data directory while it is in use."""

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
    target: Annotated[Path, typer.Argument(help="Directory to create.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JSON = False,
) -> None:
    """Copy database, weights, checkpoints and uploads while Fitwell runs; restore with fitwell serve --data-dir TARGET.

    Every file is verified; exit with 1 if a file is missing. Files in a bucket (FITWELL_STORAGE_URL) are copied as
    well. Datasets that can be downloaded again are not copied.
    """
    console = Console(stderr=True)
    with console.status(f"Copying {data_dir} to {target}"):
        process = run_module("service", "backup", str(target.expanduser().absolute()), data_dir=data_dir)
    if process.returncode:
        raise LocalError("The backup failed; see the error above.")
    summary = json.loads(process.stdout)
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        typer.echo(f"{summary['path']}: database and {summary['files']} files, {summary['bytes'] / 2**20:,.1f} MiB")
        for name in summary["lost"]:
            typer.echo(f"Missing: {name}", err=True)
    if summary["lost"]:
        raise typer.Exit(Exit.RUN_FAILED)
