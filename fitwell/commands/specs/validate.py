"""``validate``: check a spec without queueing it."""

from __future__ import annotations

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Set, SpecFile, load_spec
from fitwell.terminal.console import wide_console
from fitwell.terminal.durations import duration
from fitwell.terminal.layer_tables import layers_table


def validate(spec: SpecFile, url: URL = None, assignments: Set = None, as_json: JSON = False) -> None:
    """Validate a spec and estimate its cost; nothing is queued."""
    with Client(url) as client:
        validation = client.runs.validate(**load_spec(spec, assignments))
    if as_json:
        typer.echo(validation.model_dump_json())
        return
    typer.echo(
        f"Valid: {validation.parameters:,} parameters, about {duration(validation.estimated_seconds)} alone and "
        f"{validation.estimated_bytes / 2**20:,.0f} MiB"
    )
    if validation.layers:
        wide_console().print(layers_table(validation.layers))
