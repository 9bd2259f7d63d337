"""``mcp``: Fitwell as tools of an assistant."""

from __future__ import annotations

from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import URL
from fitwell.mcp_tools import serve


def mcp(
    url: URL = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Offer no tool that submits or cancels, whatever the token allows.")
    ] = False,
) -> None:
    """Serve tools by the Model Context Protocol on standard input and output; needs the extra named mcp.

    They read; where FITWELL_TOKEN holds a token with the scope write, they submit and cancel, too.
    """
    with Client(url) as client:
        serve(client, read_only=read_only)
