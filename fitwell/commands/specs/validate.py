"""``validate``: check a spec without queueing it."""

from __future__ import annotations

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, Set, SpecFile, body_of


def validate(spec: SpecFile, url: URL = None, assignments: Set = None, as_json: JSON = False) -> None:
    """Check a spec and say what it would cost; nothing is queued."""
    with Client(url) as client:
        verdict = client.runs.validate(**body_of(spec, assignments))
    if as_json:
        typer.echo(verdict.model_dump_json())
        return
    typer.echo(
        f"valid: {verdict.parameters:,} parameters, about {verdict.estimated_seconds:.3g} s alone and "
        f"{verdict.estimated_bytes / 2**20:,.0f} MiB"
    )
