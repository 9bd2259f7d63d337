"""The command ``bias-variance``."""

from __future__ import annotations

from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, StudyID
from fitwell.terminal.bias_variance import bias_variance_note, bias_variance_table
from fitwell.terminal.console import wide_console


def bias_variance(
    study_id: StudyID,
    url: URL = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Epoch of the models: best or last; default: that of the study.")
    ] = None,
    arms: Annotated[list[str] | None, typer.Option("--arm", help="Only this arm (repeatable).")] = None,
    as_json: JSON = False,
) -> None:
    """Split each arm's test loss into bias and variance of its runs' predictions."""
    with Client(url) as client:
        result = client.studies.get(study_id).bias_variance(at=at, arm=arms or [])
    if as_json:
        typer.echo(result.model_dump_json())
        return
    wide_console().print(bias_variance_table(result))
    typer.echo(bias_variance_note(result))
