"""Runs as notebooks show them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from fitwell.errors import FitwellError
from fitwell.transport import Transport

if TYPE_CHECKING:
    from fitwell.history import History
    from fitwell.run import Run


def html_of(run: Run[Any]) -> str:
    """How a run stands, and its curves where they can be asked for without awaiting."""
    best = f" · best {run.best.metric} {run.best.value:.4f} at epoch {run.best.epoch}" if run.best else ""
    named = f"{escape(run.name)} · " if run.name else ""
    told = f"{named}<code>{escape(run.id)}</code> · {escape(run.status)}"
    told += f" · epoch {run.progress.epoch}/{run.progress.epochs}{escape(best)}"
    error = f"<div>{escape(run.error.code)}: {escape(run.error.message)}</div>" if run.error else ""
    return f"<div><div>{told}</div>{error}{_curve(run)}</div>"


def _curve(run: Run[Any]) -> str:
    """The curves; nothing where the run's client is asynchronous, or the server is away."""
    if not isinstance(run._transport, Transport):
        return ""
    try:
        history: History = run.history
    except FitwellError as error:
        return f"<div>{escape(str(error))}</div>"
    return history.to_svg(title=run.name or run.id)
