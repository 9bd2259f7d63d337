"""How notebooks display runs and studies."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from fitwell.errors import FitwellError
from fitwell.transport import AsyncTransport, Transport


def card(name: str | None, identifier: str, facts: str, *blocks: str) -> str:
    """Return a heading with name, id and facts (plain text), followed by blocks of HTML."""
    title = f"{escape(name)} · " if name else ""
    return f"<div><div>{title}<code>{escape(identifier)}</code> · {escape(facts)}</div>{''.join(blocks)}</div>"


def fetched(transport: Transport | AsyncTransport, fetch: Callable[[], str]) -> str:
    """Return the HTML of ``fetch``, or the error's message; empty for an asynchronous client, which cannot wait."""
    if not isinstance(transport, Transport):
        return ""
    try:
        return fetch()
    except FitwellError as error:
        return f"<div>{escape(str(error))}</div>"
