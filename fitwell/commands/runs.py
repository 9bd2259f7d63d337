"""``submit``, ``validate``, ``ls``, ``show``, ``watch``, ``history``, ``download`` and ``cancel``: runs on a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fitwell.client import Client
from fitwell.exits import Exit
from fitwell.local import LocalError
from fitwell.run import Run
from fitwell.specs import SpecFileError, change, load
from fitwell.watching import follow

URL = Annotated[str | None, typer.Option("--url", envvar="FITWELL_URL", help="The server's address.")]
JSON = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Change the spec: optimizer.lr=0.1 (repeatable).")]
SpecFile = Annotated[str, typer.Argument(metavar="SPEC", help="A YAML, TOML or JSON file, or - for standard input.")]


def submit(
    spec: SpecFile,
    url: URL = None,
    name: Annotated[str | None, typer.Option("--name", help="For people.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="key=value (repeatable).")] = None,
    assignments: Set = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end; exit 1 where it fails.")] = False,
    no_reuse: Annotated[bool, typer.Option("--no-reuse", help="Train even what has been trained before.")] = False,
    as_json: JSON = False,
) -> None:
    """Submit a training run."""
    body = _body(spec, assignments)
    if name is not None:
        body["name"] = name
    body["labels"] = {**body.get("labels", {}), **labels_of(label)}
    with Client(url) as client:
        run = client.runs.create(reuse=not no_reuse, **body)
        if not as_json:
            typer.echo(run.id)
        if wait:
            run = follow(run)
        if as_json:
            typer.echo(run.model_dump_json())
        elif wait:
            _describe(run)
        if wait and run.status != "succeeded":
            raise typer.Exit(Exit.RUN_FAILED)


def validate(spec: SpecFile, url: URL = None, assignments: Set = None, as_json: JSON = False) -> None:
    """Check a spec and say what it would cost; nothing is queued."""
    with Client(url) as client:
        verdict = client.runs.validate(**_body(spec, assignments))
    if as_json:
        typer.echo(json.dumps(verdict))
        return
    typer.echo(
        f"valid: {verdict['parameters']:,} parameters, about {verdict['estimated_seconds']:.3g} s alone and "
        f"{verdict['estimated_bytes'] / 2**20:,.0f} MiB"
    )


def ls(
    url: URL = None,
    status: Annotated[list[str] | None, typer.Option("--status", help="Any of these (repeatable).")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="key=value (repeatable).")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1)] = 20,
    as_json: JSON = False,
) -> None:
    """List runs, newest first."""
    with Client(url) as client:
        runs = list(client.runs.list(status=status or (), labels=labels_of(label), limit=limit))
    if as_json:
        typer.echo(json.dumps([run.model_dump() for run in runs]))
        return
    table = Table()
    table.add_column("run", no_wrap=True)  # it is there to be copied
    for heading in ("name", "status", "epoch", "best", "last train", "labels"):
        table.add_column(heading)
    for run in runs:
        best = f"{run.best['metric']} {run.best['value']:.4f} @ {run.best['epoch']}" if run.best else ""
        epoch = f"{run.progress.epoch}/{run.progress.epochs}"
        labels = " ".join(f"{key}={value}" for key, value in run.labels.items())
        table.add_row(run.id, run.name or "", run.status, epoch, best, _number(run.last.get("train.loss")), labels)
    Console().print(table)


def show(run_id: str, url: URL = None, as_json: JSON = False) -> None:
    """Show one run."""
    with Client(url) as client:
        run = client.runs.get(run_id)
    typer.echo(run.model_dump_json()) if as_json else _describe(run)


def watch(run_id: str, url: URL = None, as_json: JSON = False) -> None:
    """Follow a run to its end; exit 1 where it fails. With --json, its events as lines of JSON."""
    with Client(url) as client:
        run = client.runs.get(run_id)
        if as_json:
            for event in run.stream():
                typer.echo(event.model_dump_json())
            run = run.refresh()
        else:
            run = follow(run)
            _describe(run)
    if run.status != "succeeded":
        raise typer.Exit(Exit.RUN_FAILED)


def history(
    run_id: str,
    url: URL = None,
    form: Annotated[str, typer.Option("--format", help="csv, json or ndjson.")] = "csv",
) -> None:
    """Print the losses of every epoch."""
    with Client(url) as client:
        answer = client.transport.request("GET", f"/v1/runs/{run_id}/history", params={"format": form})
    typer.echo(answer.text, nl=form == "json")


def download(
    run_id: str,
    name: Annotated[str, typer.Argument(help="model.onnx, model.safetensors, curve.png or .svg, predictions.png.")],
    url: URL = None,
    to: Annotated[Path | None, typer.Option("--to", help="A file or a folder; by default this one.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Of models: best (the default) or last.")] = None,
) -> None:
    """Fetch a run's model or a picture of it; prints where it is."""
    with Client(url) as client:
        run = client.runs.get(run_id)
        try:
            typer.echo(run.download(name, to, **({} if at is None else {"at": at})))
        except OSError as error:
            raise LocalError(f"The file cannot be written to {to or Path.cwd()} ({error.strerror}).") from error


def cancel(run_id: str, url: URL = None, as_json: JSON = False) -> None:
    """Ask a run to end."""
    with Client(url) as client:
        run = client.runs.get(run_id).cancel()
    typer.echo(run.model_dump_json() if as_json else f"{run.id} is {run.status}")


def _body(path: str, assignments: list[str] | None) -> dict[str, Any]:
    body = load(path)
    change(body, assignments or ())
    return body


def labels_of(given: list[str] | None) -> dict[str, str]:
    """Labels as they are given on the command line."""
    pairs = [one.partition("=") for one in given or ()]
    wrong = [key for key, equals, _ in pairs if not equals]
    if wrong:
        raise SpecFileError(f"--label takes key=value; {wrong[0]!r} has no '='.")
    return {key: value for key, _, value in pairs}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _describe(run: Run) -> None:
    """A run in a few lines."""
    typer.echo(f"{run.id}  {run.status}  epoch {run.progress.epoch}/{run.progress.epochs}")
    if run.reused_from:
        typer.echo(f"  the result of {run.reused_from}, which was trained from an equal spec")
    if run.waiting_reason:
        typer.echo(f"  waiting: {run.waiting_reason}")
    if run.error:
        typer.echo(f"  {run.error['code']}: {run.error['message']}")
    if run.best:
        optimistic = " (chosen on the test data: optimistic)" if run.best["optimistic"] else ""
        typer.echo(f"  best {run.best['metric']} {run.best['value']:.4f} at epoch {run.best['epoch']}{optimistic}")
    if run.last:
        shown = ("train.loss", "train.loss_eval", "val.loss", "test.loss", "test.accuracy")
        typer.echo("  last " + "  ".join(f"{name} {_number(run.last[name])}" for name in shown if name in run.last))
