"""``schema``: what a spec may hold, for editors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import URL


class Body(StrEnum):
    """What there are schemas of."""

    RUN = "run"
    STUDY = "study"


def schema(
    body: Annotated[Body, typer.Argument(metavar="run|study", help="Of which kind of spec.")] = Body.RUN,
    url: URL = None,
) -> None:
    """Print the JSON schema of a spec: fitwell schema run > run.schema.json, for editors that have no token."""
    with Client(url) as client:
        typer.echo(client.transport.request("GET", f"/v1/schema/{body}.json").text)
