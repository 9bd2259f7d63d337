"""``webhook add``, ``list``, ``test``, ``deliveries`` and ``rm``: webhook endpoints."""

from __future__ import annotations

import json
from itertools import islice
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fitwell.client import Client
from fitwell.commands.options import JSON, URL, parse_labels
from fitwell.exit_codes import Exit
from fitwell.terminal.console import wide_console
from fitwell.webhooks import Delivery, EndpointFields

app = typer.Typer(no_args_is_help=True, help="Manage webhooks: signed POST requests about events.")
EndpointID = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Id of an endpoint.")]


@app.command()
def add(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="URL that receives the events: https://…")],
    url: URL = None,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", help="Event to send: run.succeeded, run.*, study.finished … (repeatable)."),
    ] = None,
    study: Annotated[str | None, typer.Option("--study", help="Only events of this study.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Only runs with this label, key=value (repeatable).")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", help="Description of the endpoint.")] = None,
    as_json: JSON = False,
) -> None:
    """Send events to TARGET, by default when runs end. Prints the secret, which is not shown again."""
    fields: EndpointFields = {"study_id": study, "labels": parse_labels(label), "description": description}
    with Client(url) as client:
        created = client.webhooks.create(target, events=event, **fields)
    if as_json:
        typer.echo(created.model_dump_json())
        return
    typer.echo(f"{created.id}\nsecret: {created.secret}\nStore the secret; it is not shown again.")


@app.command("list")
def list_endpoints(url: URL = None, as_json: JSON = False) -> None:
    """List all endpoints and their state."""
    with Client(url) as client:
        endpoints = list(client.webhooks.list())
    if as_json:
        typer.echo(json.dumps([one.model_dump(exclude={"secret"}) for one in endpoints]))
        return
    table = Table("id", "target", "events", "state")
    for one in endpoints:
        state = f"failing since {one.failing_since}" if one.failing_since else "enabled"
        if not one.enabled:
            state = f"disabled: {one.disabled_reason}" if one.disabled_reason else "disabled"
        table.add_row(*map(escape, (one.id, one.url, ", ".join(one.events), state)))
    wide_console(160).print(table)


@app.command("test")
def send_test(endpoint: EndpointID, url: URL = None, as_json: JSON = False) -> None:
    """Send a test event now and print the result; exit with 1 if the target did not accept it."""
    with Client(url) as client:
        delivery = client.webhooks.test(endpoint)
    typer.echo(delivery.model_dump_json() if as_json else _outcome(delivery))
    if delivery.status != "succeeded":
        raise typer.Exit(Exit.RUN_FAILED)


@app.command()
def deliveries(
    endpoint: EndpointID,
    url: URL = None,
    status: Annotated[str | None, typer.Option("--status", help="pending, succeeded or failed.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of deliveries.")] = 20,
    as_json: JSON = False,
) -> None:
    """List sent and pending deliveries of an endpoint, newest first."""
    with Client(url) as client:
        rows = list(islice(client.webhooks.deliveries(endpoint, status=status), limit))
    if as_json:
        typer.echo(json.dumps([row.model_dump() for row in rows]))
        return
    table = Table("id", "type", "created", "status", "attempts", "last attempt")
    for row in rows:
        columns = (row.id, row.type, row.created_at, row.status, str(len(row.attempts)), _outcome(row))
        table.add_row(*map(escape, columns))
    wide_console(160).print(table)


@app.command()
def rm(endpoint: EndpointID, url: URL = None) -> None:
    """Delete an endpoint with its log and its pending deliveries."""
    with Client(url) as client:
        client.webhooks.delete(endpoint)
    typer.echo(f"{endpoint} is deleted.")


def _outcome(delivery: Delivery) -> str:
    """Return the result of the last attempt and the time of the next one."""
    if not delivery.attempts:
        return "not sent yet"
    last = delivery.attempts[-1]
    result = last.error or f"status {last.status_code}"
    if delivery.next_attempt_at is not None:
        return f"{result}; next attempt at {delivery.next_attempt_at}"
    return f"{result} after {last.seconds:.2f} s"
