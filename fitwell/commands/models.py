"""``download``: the model and the charts of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import URL, RunID
from fitwell.local import LocalError


def download(
    run_id: RunID,
    name: Annotated[str, typer.Argument(help="model.onnx, model.safetensors, curve.png or .svg, predictions.png.")],
    url: URL = None,
    to: Annotated[Path | None, typer.Option("--to", help="File or folder; default: the current folder.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Epoch of the model: best (default) or last.")] = None,
) -> None:
    """Download a run's model or chart and print the local path."""
    with Client(url) as client:
        run = client.runs.get(run_id)
        try:
            typer.echo(run.download(name, to, **({} if at is None else {"at": at})))
        except OSError as error:
            raise LocalError(f"Cannot write to {to or Path.cwd()} ({error.strerror}).") from error
