"""``token create``, ``list``, ``revoke`` and ``me``: access tokens."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL
from fitwell.commands.server.serve import DEFAULT_DATA_DIR, DataDir, run_module
from fitwell.exit_codes import Exit
from fitwell.terminal.console import wide_console
from fitwell.tokens import Token, token_body

app = typer.Typer(no_args_is_help=True, help="Manage access tokens.")
Days = Annotated[
    int | None, typer.Option("--days", min=1, max=36_500, help="Days until the token expires; default: never.")
]
MaxRuns = Annotated[
    int | None, typer.Option("--max-active-runs", min=1, help="Maximum number of unfinished runs of the owner.")
]


@app.command()
def create(
    owner: Annotated[str, typer.Option("--owner", help="Owner of the runs and studies created with the token.")],
    name: Annotated[str, typer.Option("--name", help="Display name, such as where the token is used.")],
    scope: Annotated[
        str, typer.Option("--scope", help="read, write (includes read) or admin (includes write).")
    ] = "write",
    days: Days = None,
    max_active_runs: MaxRuns = None,
    local: Annotated[
        bool, typer.Option("--local", help="Create the token in the data directory on this machine; needs no token.")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Create a token and print its secret, which is not shown again; requires an admin token or --local."""
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    fields: dict[str, Any] = {"owner": owner, "name": name, "scopes": [scope], "expires_at": expires_at}
    fields["max_active_runs"] = max_active_runs
    if local:
        token = _create_locally(token_body(**fields), data_dir)
    else:
        with Client(url) as client:
            token = client.tokens.create(**fields)
    if as_json:
        typer.echo(token.model_dump_json())
        return
    typer.echo(f"Created {token.id} for {token.owner}. The secret is not shown again; set FITWELL_TOKEN to:", err=True)
    typer.echo(token.token)


def _create_locally(body: dict[str, Any], data_dir: Path) -> Token:
    """Create the token directly in the database, in a process of the service."""
    process = run_module("service", "token", json.dumps(body), data_dir=data_dir)
    if process.returncode:
        raise typer.Exit(Exit.LOCAL)
    return Token.model_validate_json(process.stdout)


@app.command("list")
def list_tokens(url: URL = None, as_json: JSON = False) -> None:
    """List the owner's tokens, or all tokens for an admin, newest first."""
    with Client(url) as client:
        tokens = list(client.tokens.list())
    if as_json:
        typer.echo(json.dumps([token.model_dump(exclude={"token"}) for token in tokens]))
        return
    table = Table("id", "name", "owner", "scopes", "prefix", "last used", "expires")
    for token in tokens:
        expiry = f"revoked {token.revoked_at}" if token.revoked_at else token.expires_at or ""
        scopes, last_used = " ".join(token.scopes), token.last_used_at or ""
        table.add_row(token.id, escape(token.name), escape(token.owner), scopes, token.prefix, last_used, expiry)
    wide_console(200).print(table)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="Id of the token (tok_…), not its secret.")],
    url: URL = None,
) -> None:
    """Revoke a token."""
    with Client(url) as client:
        client.tokens.revoke(token_id)
    typer.echo(f"{token_id} is revoked")


@app.command()
def me(url: URL = None, as_json: JSON = False) -> None:
    """Show the identity and scopes of the current token."""
    with Client(url) as client:
        caller = client.tokens.me()
    if as_json:
        typer.echo(caller.model_dump_json(exclude={"token": {"token"}}))
        return
    token = caller.token
    source = f"token {token.name!r} ({token.prefix}…)" if token else "no token required"
    typer.echo(f"{caller.owner}, scopes {', '.join(caller.scopes)}, {source}")
