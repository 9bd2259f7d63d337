"""Live progress of runs in a terminal; on standard error, so that output stays clean."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fitwell.run import Run

SHOWN = ("train.loss", "val.loss", "test.loss")


def progress_bar() -> Progress:
    """A progress display with room for losses; silent where nobody looks."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[losses]}"), console=console, disable=not console.is_terminal)


def losses_of(metrics: dict[str, float | None]) -> str:
    """The losses one wants to see while waiting."""
    return "  ".join(f"{name} {metrics[name]:.4f}" for name in SHOWN if metrics.get(name) is not None)


def follow(run: Run) -> Run:
    """Show a run's epochs as they come; the run when it has ended."""
    with progress_bar() as progress:
        task = progress.add_task(run.name or run.id, total=run.progress.epochs, losses=run.waiting_reason or "")
        for event in run.stream():
            if event.type == "epoch":
                losses = losses_of(event.data["metrics"] or {})
                progress.update(task, completed=event.data["epoch"], losses=losses)
            elif not event.type.startswith("run.created"):
                progress.update(task, losses=event.type)
    return run.refresh()
