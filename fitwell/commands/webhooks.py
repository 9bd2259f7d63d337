"""``webhook add``, ``list``, ``test``, ``deliveries`` and ``rm``: being told what happens."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, labels_of
from fitwell.exit_codes import Exit
from fitwell.terminal.console import wide_console
from fitwell.webhooks import Delivery, EndpointFields

app = typer.Typer(no_args_is_help=True, help="Be told what happens, by signed POST requests.")
EndpointID = Annotated[str, typer.Argument(metavar="ENDPOINT", help="An endpoint's id.")]


@app.command()
def add(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="https://…, where to send.")],
    url: URL = None,
    event: Annotated[
        list[str] | None, typer.Option("--event", help="run.succeeded, run.*, study.finished … (repeatable).")
    ] = None,
    study: Annotated[str | None, typer.Option("--study", help="Only what happens in this study.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="Only runs with key=value (repeatable).")] = None,
    description: Annotated[str | None, typer.Option("--description", help="For people.")] = None,
    as_json: JSON = False,
) -> None:
    """Send what happens from now on to TARGET; by default the ends of runs. Shows the secret, this once."""
    more: EndpointFields = {"study_id": study, "labels": labels_of(label), "description": description}
    with Client(url) as client:
        made = client.webhooks.create(target, events=event, **more)
    if as_json:
        typer.echo(made.model_dump_json())
        return
    typer.echo(f"{made.id}\nsecret: {made.secret}\nKeep the secret, it is not shown again.")


@app.command("list")
def list_endpoints(url: URL = None, as_json: JSON = False) -> None:
    """Every endpoint, and whether it works."""
    with Client(url) as client:
        found = list(client.webhooks.list())
    if as_json:
        typer.echo(json.dumps([one.model_dump(exclude={"secret"}) for one in found]))
        return
    table = Table("id", "target", "events", "state")
    for one in found:
        failing = f"failing since {one.failing_since}" if one.failing_since else "on"
        state = failing if one.enabled else f"off. {one.disabled_reason or ''}"
        table.add_row(*map(escape, (one.id, one.url, ", ".join(one.events), state)))
    wide_console(160).print(table)


@app.command("test")
def send_test(endpoint: EndpointID, url: URL = None, as_json: JSON = False) -> None:
    """Send a test now and tell what came back; exit 1 where it was not taken."""
    with Client(url) as client:
        sent = client.webhooks.test(endpoint)
    typer.echo(sent.model_dump_json() if as_json else _came_back(sent))
    if sent.status != "succeeded":
        raise typer.Exit(Exit.RUN_FAILED)


@app.command()
def deliveries(
    endpoint: EndpointID,
    url: URL = None,
    status: Annotated[str | None, typer.Option("--status", help="pending, succeeded or failed.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 20,
    as_json: JSON = False,
) -> None:
    """What was sent to an endpoint, or is to be."""
    with Client(url) as client:
        found = [one for _, one in zip(range(limit), client.webhooks.deliveries(endpoint, status=status), strict=False)]
    if as_json:
        typer.echo(json.dumps([one.model_dump() for one in found]))
        return
    table = Table("id", "type", "made", "status", "attempts", "last")
    for one in found:
        columns = (one.id, one.type, one.created_at, one.status, str(len(one.attempts)), _came_back(one))
        table.add_row(*map(escape, columns))
    wide_console(160).print(table)


@app.command()
def rm(endpoint: EndpointID, url: URL = None) -> None:
    """Forget an endpoint, its log, and what was to be sent to it."""
    with Client(url) as client:
        client.webhooks.delete(endpoint)
    typer.echo(f"{endpoint} is gone.")


def _came_back(delivery: Delivery) -> str:
    """What came of the last attempt, and when the next is."""
    if not delivery.attempts:
        return "not sent yet"
    last = delivery.attempts[-1]
    told = last.error or f"answered {last.status_code}"
    if delivery.next_attempt_at is not None:
        return f"{told}; next attempt at {delivery.next_attempt_at}"
    return f"{told} after {last.seconds:.2f} s"
