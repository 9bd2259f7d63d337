"""Runs and studies as notebooks show them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from fitwell.errors import FitwellError
from fitwell.transport import Transport

if TYPE_CHECKING:
    from fitwell.comparison import Comparison
    from fitwell.history import History
    from fitwell.run import Run
    from fitwell.study import Study


def html_of(run: Run[Any]) -> str:
    """How a run stands, and its curves where they can be asked for without awaiting."""
    best = f" · best {run.best.metric} {run.best.value:.4f} at epoch {run.best.epoch}" if run.best else ""
    named = f"{escape(run.name)} · " if run.name else ""
    told = f"{named}<code>{escape(run.id)}</code> · {escape(run.status)}"
    told += f" · epoch {run.progress.epoch}/{run.progress.epochs}{escape(best)}"
    error = f"<div>{escape(run.error.code)}: {escape(run.error.message)}</div>" if run.error else ""
    return f"<div><div>{told}</div>{error}{_curve(run)}</div>"


def html_of_study(study: Study[Any]) -> str:
    """How a study stands, and its comparison where that can be asked for without awaiting."""
    counts = ", ".join(f"{count} {status}" for status, count in study.progress.by_status.items())
    named = f"{escape(study.name)} · " if study.name else ""
    told = f"{named}<code>{escape(study.id)}</code> · {escape(counts)}"
    return f"<div><div>{told}</div>{_table(study)}</div>"


def _table(study: Study[Any]) -> str:
    if not isinstance(study._transport, Transport):
        return ""
    try:
        comparison: Comparison = study.compare()
    except FitwellError as error:
        return f"<div>{escape(str(error))}</div>"
    return comparison._repr_html_()


def _curve(run: Run[Any]) -> str:
    """The curves; nothing where the run's client is asynchronous, or the server is away."""
    if not isinstance(run._transport, Transport):
        return ""
    try:
        history: History = run.history
    except FitwellError as error:
        return f"<div>{escape(str(error))}</div>"
    return history.to_svg(title=run.name or run.id)
