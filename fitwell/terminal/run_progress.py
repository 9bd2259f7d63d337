"""Live progress of runs in a terminal."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from fitwell.run import Run
from fitwell.run_views import Event
from fitwell.terminal.chart import chart

SHOWN = ("train.loss", "val.loss", "test.loss")
FRAME_SECONDS = 0.2


def progress_bar() -> Progress:
    """A progress display with room for losses, on standard error; silent where nobody looks."""
    console = Console(stderr=True)
    described = TextColumn("{task.description}", markup=False)  # a name may hold brackets
    columns = (described, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[losses]}"), console=console, disable=not console.is_terminal)


def losses_of(metrics: dict[str, float | None]) -> str:
    """The losses one wants to see while waiting."""
    told = [(name, metrics.get(name)) for name in SHOWN]
    return "  ".join(f"{name} {value:.4f}" for name, value in told if value is not None)


def follow(run: Run) -> Run:
    """Show a run's epochs as they come, on standard error; the run when it has ended."""
    with progress_bar() as progress:
        task = progress.add_task(run.name or run.id, total=run.progress.epochs, losses=run.waiting_reason or "")
        for event in run.stream():
            if event.type == "epoch":
                losses = losses_of(event.data["metrics"] or {})
                progress.update(task, completed=event.data["epoch"], losses=losses)
            elif not event.type.startswith("run.created"):
                progress.update(task, losses=event.type)
    return run.refresh()


class Curves:
    """What was measured so far, as a picture in characters."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._epoch: list[int] = []
        self._series: dict[str, list[float | None]] = {}
        self._state = run.waiting_reason or run.status

    def take(self, event: Event) -> None:
        """Add what an event tells."""
        if event.type != "epoch":
            self._state = event.type.removeprefix("run.")
            return
        measured: dict[str, Any] = event.data["metrics"] or {}
        while self._epoch and self._epoch[-1] >= event.data["epoch"]:  # trained again from a checkpoint
            self._epoch.pop()
            for values in self._series.values():
                values.pop()
        for name in measured.keys() | self._series.keys():
            self._series.setdefault(name, [None] * len(self._epoch)).append(measured.get(name))
        self._epoch.append(event.data["epoch"])

    def drawn(self, width: int, height: int, *, coloured: bool) -> str:
        """The picture; empty before the first epoch."""
        title = self._run.name or self._run.id
        return chart(self._epoch, self._series, title=title, width=width, height=height, coloured=coloured)

    def told(self) -> str:
        """How it stands, in a line."""
        last = {name: values[-1] for name, values in self._series.items() if values}
        return f"{self._state}  epoch {self._epoch[-1] if self._epoch else 0}/{self._run.progress.epochs}  " + (
            losses_of(last)
        )


def watch(run: Run) -> Run:
    """Draw a run's losses as they come, where a terminal shows them, else print a line for each epoch."""
    console, curves = Console(), Curves(run)
    if not console.is_terminal:
        return _followed(run, curves, lambda event: typer.echo(curves.told()) if event.type == "epoch" else None)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        shown = 0.0

        def show(event: Event | None = None) -> None:
            nonlocal shown
            if event is None or time.monotonic() - shown >= FRAME_SECONDS:
                shown = time.monotonic()
                live.update(_picture(curves, console), refresh=True)

        run = _followed(run, curves, show)
        show()
    return run


def _followed(run: Run, curves: Curves, after_each: Callable[[Event], None]) -> Run:
    for event in run.stream():
        curves.take(event)
        after_each(event)
    return run.refresh()


def _picture(curves: Curves, console: Console) -> Group:
    size = shutil.get_terminal_size()
    drawn = curves.drawn(
        min(size.columns, 120), max(8, min(size.lines - 4, 24)), coloured=console.color_system is not None
    )
    return Group(Text.from_ansi(drawn), Text(curves.told()))
