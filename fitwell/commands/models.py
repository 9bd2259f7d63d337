"""``download``: a run's model, and pictures of it."""

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
