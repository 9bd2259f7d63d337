"""The progress of a run, live."""

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

PROGRESS_METRICS = ("train.loss", "val.loss", "test.loss")
REFRESH_SECONDS = 0.2


def progress_bar() -> Progress:
    """Return a progress bar with a column for losses, on standard error; silent if that is not a terminal."""
    console = Console(stderr=True)
    description = TextColumn("{task.description}", markup=False)  # names may contain brackets
    columns = (description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[losses]}"), console=console, disable=not console.is_terminal)


def format_losses(metrics: dict[str, float | None]) -> str:
    """Return the losses of each split as text."""
    losses = [(name, metrics.get(name)) for name in PROGRESS_METRICS]
    return "  ".join(f"{name} {value:.4f}" for name, value in losses if value is not None)


def follow(run: Run) -> Run:
    """Show a progress bar until the run has ended, and return the run."""
    with progress_bar() as progress:
        task = progress.add_task(run.name or run.id, total=run.progress.epochs, losses=run.waiting_reason or "")
        for event in run.stream():
            if event.type == "epoch":
                losses = format_losses(event.data["metrics"] or {})
                progress.update(task, completed=event.data["epoch"], losses=losses)
            elif not event.type.startswith("run.created"):
                progress.update(task, losses=event.type)
    return run.refresh()


class LiveCurves:
    """The curves of the epochs received so far."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._epoch: list[int] = []
        self._series: dict[str, list[float | None]] = {}
        self._state = run.waiting_reason or run.status

    def add(self, event: Event) -> None:
        """Add an event."""
        if event.type != "epoch":
            self._state = event.type.removeprefix("run.")
            return
        metrics: dict[str, Any] = event.data["metrics"] or {}
        while self._epoch and self._epoch[-1] >= event.data["epoch"]:  # resumed from an earlier checkpoint
            self._epoch.pop()
            for values in self._series.values():
                values.pop()
        for name in metrics.keys() | self._series.keys():
            self._series.setdefault(name, [None] * len(self._epoch)).append(metrics.get(name))
        self._epoch.append(event.data["epoch"])

    def render(self, width: int, height: int, *, color: bool) -> str:
        """Return the chart; empty before the first epoch."""
        title = self._run.name or self._run.id
        return chart(self._epoch, self._series, title=title, width=width, height=height, color=color)

    def status_line(self) -> str:
        """Return status, epoch and losses in one line."""
        last = {name: values[-1] for name, values in self._series.items() if values}
        progress, epoch = self._run.progress, self._epoch[-1] if self._epoch else 0
        return f"{self._state}  {progress.epoch_name} {epoch}/{progress.epochs}  {format_losses(last)}"


def watch(run: Run) -> Run:
    """Show live curves until the run has ended, and return it; prints a line per epoch if this is not a terminal."""
    console, curves = Console(), LiveCurves(run)
    if not console.is_terminal:
        return _stream(run, curves, lambda event: typer.echo(curves.status_line()) if event.type == "epoch" else None)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        refreshed = 0.0

        def refresh(event: Event | None = None) -> None:
            nonlocal refreshed
            if event is None or time.monotonic() - refreshed >= REFRESH_SECONDS:
                refreshed = time.monotonic()
                live.update(_frame(curves, console), refresh=True)

        run = _stream(run, curves, refresh)
        refresh()
    return run


def _stream(run: Run, curves: LiveCurves, on_event: Callable[[Event], None]) -> Run:
    for event in run.stream():
        curves.add(event)
        on_event(event)
    return run.refresh()


def _frame(curves: LiveCurves, console: Console) -> Group:
    size = shutil.get_terminal_size()
    chart_text = curves.render(
        min(size.columns, 120), max(8, min(size.lines - 4, 24)), color=console.color_system is not None
    )
    return Group(Text.from_ansi(chart_text), Text(curves.status_line()))
