"""``schema``: the JSON Schema of specs, for editors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import URL


class SpecKind(StrEnum):
    """A kind of spec."""

    RUN = "run"
    STUDY = "study"


def schema(
    kind: Annotated[SpecKind, typer.Argument(metavar="run|study", help="Kind of spec.")] = SpecKind.RUN,
    url: URL = None,
) -> None:
    """Print the JSON Schema of a spec for editors without a token: fitwell schema run > run.schema.json."""
    with Client(url) as client:
        typer.echo(client.transport.request("GET", f"/v1/schema/{kind}.json").text)
