"""Pages of runs: which runs they show, and the cursor that leads from one to the next."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.errors import BadCursor
from service.runs.run import Run
from service.runs.states import Status
from service.store.runs import Row


@dataclass(frozen=True, kw_only=True)
class RunQuery:
    """Which runs a page shows; ``after`` is the cursor of the page before."""

    status: Sequence[Status] = ()
    label: Mapping[str, str] = field(default_factory=dict)
    study_id: str | None = None
    name: str | None = None
    limit: int = 20
    after: str | None = None


@dataclass(frozen=True)
class Page:
    """Some runs, newest first, and where the next page begins."""

    runs: Sequence[Run]
    has_more: bool
    next_cursor: str | None


def cursor_at(row: Row) -> str:
    """The cursor behind ``row``."""
    return base64.urlsafe_b64encode(f"{row.created_at!r} {row.id}".encode()).decode().rstrip("=")


def position(cursor: str) -> tuple[float, str]:
    """When the last run of the page before was created, and its id.

    Raises:
        BadCursor: no page handed this out.
    """
    try:
        created_at, run_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        return float(created_at), run_id
    except (ValueError, binascii.Error, UnicodeDecodeError) as error:
        message = f"{cursor!r} is no cursor; take next_cursor from the page before, or leave `after` out."
        raise BadCursor(message) from error
