"""What must be there before something is taken: room on the disk, and in an owner's quota of unfinished runs."""

from __future__ import annotations

import shutil

import sqlalchemy as sa

from service.callers import Caller
from service.errors import FieldError, SpecRefused, StorageFull
from service.runs.errors import QuotaExceeded
from service.runs.queries import runs as rows
from service.settings import Settings

RETRY_SECONDS = 10
"""When to ask again; nobody knows when a run will end."""


def check_quota(connection: sa.Connection, caller: Caller, *, adding: int) -> None:
    """See that ``caller`` may add so many runs, in the transaction that adds them.

    Raises:
        QuotaExceeded: not before others of its owner have ended.
        SpecRefused: never, these alone are too many.
    """
    most = caller.max_active_runs
    if most is None or not adding:
        return
    if adding > most:
        message = f"These are {adding:,} runs to train, and this token allows {most:,} unfinished ones at once."
        raise SpecRefused(message, errors=[FieldError("", "over_quota", message)])
    rows.lock_owner(connection, caller.owner)
    there = rows.count_unfinished(connection, caller.owner)
    if there + adding > most:
        raise QuotaExceeded(
            f"{caller.owner!r} has {there:,} unfinished run(s), and this token allows {most:,}: {adding:,} more must "
            "wait until some have ended, or been cancelled.",
            headers={"retry-after": str(RETRY_SECONDS)},
        )


def check_space(settings: Settings) -> None:
    """See that there is room for what a run or an upload will write.

    Raises:
        StorageFull: the disk is nearly full.
    """
    free = shutil.disk_usage(settings.home).free
    if free < settings.min_free_bytes:
        raise StorageFull(
            f"The server's disk has {free:,} bytes left, and takes nothing new below {settings.min_free_bytes:,} "
            "(FITWELL_MIN_FREE_BYTES). What is there can be read, and runs in training go on. Deleting runs makes "
            "room, or keeping checkpoints for fewer days (FITWELL_KEEP_CHECKPOINTS_DAYS)."
        )
