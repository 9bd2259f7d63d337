"""Summaries of runs and studies."""

from __future__ import annotations

import typer

from fitwell.run import Run
from fitwell.run_views import Ended
from fitwell.study import Study

SUMMARY_METRICS = ("train.loss", "train.loss_eval", "val.loss", "test.loss", "test.accuracy", "test.r2", "test.rmse")

SCORES = ("test.balanced_accuracy", "test.f1", "test.auc", "test.mae", "test.mape")
"""Metrics that mean little without what guessing gets."""


def print_run(run: Run) -> None:
    """Print a summary of a run."""
    typer.echo(f"{run.id}  {run.status}  {run.progress.epoch_name} {run.progress.epoch}/{run.progress.epochs}")
    if run.reused_from:
        typer.echo(f"  result reused from {run.reused_from}, which has an equal spec")
    if run.waiting_reason:
        typer.echo(f"  waiting: {run.waiting_reason}")
    if run.ended:
        typer.echo(f"  ended after {run.progress.place(run.ended.epoch)}: {_reason(run.ended)}")
    if run.peak_bytes is not None:
        peers = f" with {run.stack.size - 1} stack peers" if run.stack and run.stack.size > 1 else ""
        typer.echo(f"  peak memory {run.peak_bytes / 10**9:.2f} GB{peers}")
    if run.error:
        typer.echo(f"  {run.error.code}: {run.error.message}")
    if run.best:
        optimistic = " (selected on the test set: optimistic)" if run.best.optimistic else ""
        typer.echo(f"  best {run.best.metric} {run.best.value:.4f} at {run.progress.place(run.best.epoch)}{optimistic}")
    if run.last:
        metrics = [f"{name} {format_value(run.last[name])}" for name in SUMMARY_METRICS if name in run.last]
        typer.echo("  last " + "  ".join(metrics))
        scores = [f"{name} {_beside_guessing(run, name)}" for name in SCORES if name in run.last]
        if scores:
            typer.echo("  scores " + "  ".join(scores))
    if run.baseline:
        guesses = [f"{name} {format_value(run.baseline[name])}" for name in SUMMARY_METRICS if name in run.baseline]
        typer.echo("  guessing " + "  ".join(guesses))


def _reason(ended: Ended) -> str:
    """Return why a run ended, with the fields of the stop rule."""
    if ended.rule is None:
        return "all epochs are trained" if ended.reason == "epochs" else ended.reason.replace("_", " ")
    fields = ", ".join(f"{name} {value}" for name, value in ended.rule.items() if name not in ("index", "kind"))
    return f"{ended.reason} ({fields})"


def _beside_guessing(run: Run, name: str) -> str:
    """Return the last value of a metric and, in brackets, what guessing gets."""
    guessing = (run.baseline or {}).get(name)
    level = "" if guessing is None else f" (guessing {format_value(guessing)})"
    return (format_value(run.last[name]) or "undefined") + level


def print_study(study: Study) -> None:
    """Print a summary of a study."""
    progress = study.progress
    counts = ", ".join(f"{count} {status}" for status, count in progress.by_status.items())
    typer.echo(f"{study.id}  {study.status}  {counts}  epoch {progress.epoch}/{progress.epochs}")
    typer.echo(f"  {len(study.arms)} arms, compared with {study.baseline} by {study.at} {study.metric}:")
    for arm in study.arms:
        typer.echo(f"    {arm.id}")


def format_value(value: float | None) -> str:
    """Return a metric with four decimals, or an empty string if it is None."""
    return "" if value is None else f"{value:.4f}"
