"""Runs and studies in a few lines."""

from __future__ import annotations

import typer

from fitwell.run import Run
from fitwell.study import Study

SHOWN = ("train.loss", "train.loss_eval", "val.loss", "test.loss", "test.accuracy", "test.r2", "test.rmse")


def describe(run: Run) -> None:
    """A run in a few lines."""
    typer.echo(f"{run.id}  {run.status}  epoch {run.progress.epoch}/{run.progress.epochs}")
    if run.reused_from:
        typer.echo(f"  the result of {run.reused_from}, which was trained from an equal spec")
    if run.waiting_reason:
        typer.echo(f"  waiting: {run.waiting_reason}")
    if run.error:
        typer.echo(f"  {run.error.code}: {run.error.message}")
    if run.best:
        optimistic = " (chosen on the test data: optimistic)" if run.best.optimistic else ""
        typer.echo(f"  best {run.best.metric} {run.best.value:.4f} at epoch {run.best.epoch}{optimistic}")
    if run.last:
        told = [f"{name} {format_value(run.last[name])}" for name in SHOWN if name in run.last]
        typer.echo("  last " + "  ".join(told))


def describe_study(study: Study) -> None:
    """A study in a few lines."""
    progress = study.progress
    counts = ", ".join(f"{count} {status}" for status, count in progress.by_status.items())
    typer.echo(f"{study.id}  {study.status}  {counts}  epoch {progress.epoch}/{progress.epochs}")
    typer.echo(f"  {len(study.arms)} arms, compared with {study.baseline} by the {study.at} {study.metric}:")
    for arm in study.arms:
        typer.echo(f"    {arm.id}")


def format_value(value: float | None) -> str:
    """Return a figure with four decimals, or an empty text if it was not measured."""
    return "" if value is None else f"{value:.4f}"
