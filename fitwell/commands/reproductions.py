"""Reproductions: test published claims again."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer

from fitwell.client import Client
from fitwell.commands.options import JSON, URL
from fitwell.exit_codes import Exit
from fitwell.reproductions import Reproduction, ReproductionCost, pause_after
from fitwell.terminal.console import wide_console
from fitwell.terminal.durations import duration
from fitwell.terminal.reproduction_tables import claims_table, reproductions_table
from fitwell.terminal.run_progress import progress_bar


class Scale(StrEnum):
    """How much is trained."""

    QUICK = "quick"
    FULL = "full"


def reproduce(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of a reproduction; without one, all are listed.")
    ] = None,
    url: URL = None,
    scale: Annotated[
        Scale, typer.Option("--scale", help="quick: minutes on one core; full: nearer to the source.")
    ] = Scale.QUICK,
    preview: Annotated[bool, typer.Option("--preview", help="Only estimate the runs and their time.")] = False,
    as_json: JSON = False,
) -> None:
    """Test published claims again: train the studies, and print each claim's verdict. Repeat it to resume."""
    with Client(url) as client:
        if name is None:
            listed = client.reproductions.list()
            if as_json:
                typer.echo(f"[{','.join(one.model_dump_json() for one in listed)}]")
            else:
                wide_console().print(reproductions_table(listed))
            return
        if preview:
            cost = client.reproductions.preview(name, scale.value)
            typer.echo(cost.model_dump_json() if as_json else _describe(cost))
            return
        started = follow(client.reproductions.start(name, scale.value))
    if as_json:
        typer.echo(started.model_dump_json())
    else:
        wide_console().print(claims_table(started))
    if set(started.runs_by_status) - {"succeeded"}:
        raise typer.Exit(Exit.RUN_FAILED)


def _describe(cost: ReproductionCost) -> str:
    most = f", at most {cost.max_runs:,}" if cost.max_runs > cost.runs else ""
    seconds = duration(cost.estimated_seconds)
    return f"{cost.runs:,} runs{most}, {cost.reused:,} of them reused; estimated time: {seconds} on one worker."


def follow(reproduction: Reproduction) -> Reproduction:
    """Show a progress bar until all studies have ended, and return the reproduction."""
    with progress_bar() as progress:
        task = progress.add_task(reproduction.name, total=reproduction.epochs[1], losses="")
        elapsed = 0.0
        while not reproduction.terminal:
            time.sleep(pause_after(elapsed))
            started = time.monotonic()
            reproduction = reproduction.refresh()
            elapsed = time.monotonic() - started
            epoch, epochs = reproduction.epochs
            progress.update(task, completed=epoch, total=epochs, losses="")
    return reproduction
