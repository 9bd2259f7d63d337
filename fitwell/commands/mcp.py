"""``mcp``: Fitwell as tools for assistants."""

from __future__ import annotations

from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import URL
from fitwell.mcp_tools import serve


def mcp(
    url: URL = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Offer only tools that read, whatever the token allows.")
    ] = False,
) -> None:
    """Serve tools over the Model Context Protocol on standard input and output; requires the extra mcp.

    The tools read; if FITWELL_TOKEN is a token with the scope write, they can also submit and cancel.
    """
    with Client(url) as client:
        serve(client, read_only=read_only)
