"""``token create``, ``list``, ``revoke`` and ``me``: who may ask a server for what."""

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

app = typer.Typer(no_args_is_help=True, help="Tokens: who may ask a server for what.")
Days = Annotated[
    int | None, typer.Option("--days", min=1, max=36_500, help="For how long; without it, until it is revoked.")
]
MaxRuns = Annotated[
    int | None, typer.Option("--max-active-runs", min=1, help="Most runs that the owner may have unfinished.")
]


@app.command()
def create(
    owner: Annotated[str, typer.Option("--owner", help="Whose runs and studies are made with it.")],
    name: Annotated[str, typer.Option("--name", help="For people: where it is used.")],
    scope: Annotated[str, typer.Option("--scope", help="read, write (holds read) or admin (holds write).")] = "write",
    days: Days = None,
    max_active_runs: MaxRuns = None,
    local: Annotated[
        bool, typer.Option("--local", help="Make it in the data directory of this machine; needs no token.")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: URL = None,
    as_json: JSON = False,
) -> None:
    """Make a token and print its secret, this once: needs an admin's token, or --local."""
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    asked: dict[str, Any] = {"owner": owner, "name": name, "scopes": [scope], "expires_at": expires_at}
    asked["max_active_runs"] = max_active_runs
    if local:
        made = _made_here(token_body(**asked), data_dir)
    else:
        with Client(url) as client:
            made = client.tokens.create(**asked)
    if as_json:
        typer.echo(made.model_dump_json())
        return
    typer.echo(f"{made.id} of {made.owner}; its secret is shown only now. Set FITWELL_TOKEN to it:", err=True)
    typer.echo(made.token)


def _made_here(body: dict[str, Any], data_dir: Path) -> Token:
    """The token, made by the service's own process on the database itself."""
    done = run_module("service", "token", json.dumps(body), data_dir=data_dir)
    if done.returncode:
        raise typer.Exit(Exit.LOCAL)
    return Token.model_validate_json(done.stdout)


@app.command("list")
def list_tokens(url: URL = None, as_json: JSON = False) -> None:
    """List the tokens of this one's owner, for an admin everybody's, newest first."""
    with Client(url) as client:
        tokens = list(client.tokens.list())
    if as_json:
        typer.echo(json.dumps([token.model_dump(exclude={"token"}) for token in tokens]))
        return
    table = Table("id", "name", "owner", "scopes", "begins", "last used", "ends")
    for one in tokens:
        ends = f"revoked {one.revoked_at}" if one.revoked_at else one.expires_at or ""
        table.add_row(
            one.id, escape(one.name), escape(one.owner), " ".join(one.scopes), one.prefix, one.last_used_at or "", ends
        )
    wide_console(200).print(table)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="A token's id: tok_…, not its secret.")],
    url: URL = None,
) -> None:
    """Let nobody use a token from now on."""
    with Client(url) as client:
        client.tokens.revoke(token_id)
    typer.echo(f"{token_id} is revoked")


@app.command()
def me(url: URL = None, as_json: JSON = False) -> None:
    """Say who this is to the server."""
    with Client(url) as client:
        found = client.tokens.me()
    if as_json:
        typer.echo(found.model_dump_json(exclude={"token": {"token"}}))
        return
    by = (
        f"by the token {found.token.name!r} ({found.token.prefix}…)"
        if found.token
        else "without a token: none is needed"
    )
    typer.echo(f"{found.owner}, with the scopes {', '.join(found.scopes)}, {by}")
