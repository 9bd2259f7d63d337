"""``calibration`` of a model, and ``download``: the model and the charts of a run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, RunID
from fitwell.local import LocalError
from fitwell.terminal.calibration import calibration_summary, calibration_table
from fitwell.terminal.console import wide_console


class Split(StrEnum):
    """A part of the dataset."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def calibration(
    run_id: RunID,
    url: URL = None,
    split: Annotated[Split, typer.Option("--split", help="Part of the dataset.")] = Split.TEST,
    at: Annotated[str, typer.Option("--at", help="Epoch of the model: best or last.")] = "best",
    bins: Annotated[int, typer.Option("--bins", min=1, max=100, help="Bins of equal width.")] = 15,
    as_json: JSON = False,
) -> None:
    """Show how far a model's probabilities can be trusted: its accuracy for each confidence."""
    with Client(url) as client:
        result = client.runs.get(run_id).calibration(split, at=at, bins=bins)
    if as_json:
        typer.echo(result.model_dump_json())
        return
    wide_console().print(calibration_table(result))
    typer.echo(calibration_summary(result))


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
