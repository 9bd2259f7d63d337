"""Pages of runs, and the cursors that link them."""

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
    """The filters, order and size of a page of runs; ``after`` is the cursor of the previous page."""

    status: Sequence[Status] = ()
    label: Mapping[str, str] = field(default_factory=dict)
    study_id: str | None = None
    name: str | None = None
    filter: str | None = None
    sort: str = NEWEST_FIRST
    limit: int = 20
    after: str | None = None
    folds_studies: bool = False
    """Whether to return only the first matching run of each study."""


@dataclass(frozen=True)
class Page:
    """Some runs, in the order of the query, and the cursor of the next page."""

    runs: Sequence[Run]
    has_more: bool
    next_cursor: str | None


def cursor_at(row: Row, sort: str = NEWEST_FIRST) -> str:
    """Return the cursor after ``row`` in the order of ``sort``."""
    return cursor(row.created_at if sort == NEWEST_FIRST else row.sort_key, row.id, sort)


def cursor(key: float, last_id: str, sort: str = NEWEST_FIRST) -> str:
    """Return the cursor after the run with this sort key and id, in the order of ``sort``."""
    return base64.urlsafe_b64encode(f"{sort} {float(key)!r} {last_id}".encode()).decode().rstrip("=")


def position(cursor: str, sort: str = NEWEST_FIRST) -> tuple[float, str]:
    """Return the sort key and the id of the last run before a cursor.

    Raises:
        BadCursor: The cursor is malformed or belongs to another order.
    """
    message = f"{cursor!r} is not a cursor of this list. Use next_cursor of the previous page, or omit `after`."
    try:
        sorted_by, key, last_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        last = float(key), last_id
    except (ValueError, binascii.Error, UnicodeDecodeError) as error:
        raise BadCursor(message) from error
    if sorted_by != sort:
        raise BadCursor(message)
    return last
