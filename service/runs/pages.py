"""Pages of runs: which runs they show, and the cursor that leads from one to the next."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.errors import BadCursor
from service.runs.run import Run
from service.runs.states import Status
from service.store.rows import Row

NEWEST_FIRST = "-created_at"


@dataclass(frozen=True, kw_only=True)
class RunQuery:
    """Which runs a page shows; ``after`` is the cursor of the page before."""

    status: Sequence[Status] = ()
    label: Mapping[str, str] = field(default_factory=dict)
    study_id: str | None = None
    name: str | None = None
    filter: str | None = None
    sort: str = NEWEST_FIRST
    limit: int = 20
    after: str | None = None


@dataclass(frozen=True)
class Page:
    """Some runs, newest first, and where the next page begins."""

    runs: Sequence[Run]
    has_more: bool
    next_cursor: str | None


def cursor_at(row: Row, sort: str = NEWEST_FIRST) -> str:
    """The cursor behind ``row`` in the order of ``sort``."""
    return cursor(row.created_at if sort == NEWEST_FIRST else row.sort_key, row.id, sort)


def cursor(key: float, last_id: str, sort: str = NEWEST_FIRST) -> str:
    """The cursor behind what is sorted by ``key`` and ``last_id`` in the order of ``sort``."""
    return base64.urlsafe_b64encode(f"{sort} {float(key)!r} {last_id}".encode()).decode().rstrip("=")


def position(cursor: str, sort: str = NEWEST_FIRST) -> tuple[float, str]:
    """What the last one of the page before was sorted by, and its id.

    Raises:
        BadCursor: no page of this order handed this out.
    """
    message = f"{cursor!r} is no cursor of this list; take next_cursor from the page before, or leave `after` out."
    try:
        sorted_by, key, last_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        found = float(key), last_id
    except (ValueError, binascii.Error, UnicodeDecodeError) as error:
        raise BadCursor(message) from error
    if sorted_by != sort:
        raise BadCursor(message)
    return found
