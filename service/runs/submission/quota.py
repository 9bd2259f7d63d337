"""Limits that are checked before runs or uploads are accepted: the owner's quota and the free disk space."""

from __future__ import annotations

import shutil

import sqlalchemy as sa

from service.callers import Caller
from service.errors import SpecRefused, StorageFull
from service.runs.errors import QuotaExceeded
from service.runs.queries import runs as rows
from service.settings import Settings

RETRY_SECONDS = 10
"""Value of Retry-After; when a run will finish is unknown."""


def check_quota(connection: sa.Connection, caller: Caller, *, adding: int, beside: int = 0) -> None:
    """Check that the owner may have ``adding`` more unfinished runs, in the transaction that adds them.

    ``beside`` of the unfinished runs are of the same transaction.

    Raises:
        QuotaExceeded: Other runs of the owner must finish first.
        SpecRefused: The runs of this transaction alone exceed the quota.
    """
    quota = caller.max_active_runs
    if quota is None or not adding:
        return
    if adding + beside > quota:
        message = f"This would train {adding + beside:,} runs; the token allows {quota:,} unfinished runs at a time."
        raise SpecRefused.at("", "over_quota", message)
    rows.lock_owner(connection, caller.owner)
    unfinished = rows.count_unfinished(connection, caller.owner) - beside
    if unfinished + beside + adding > quota:
        raise QuotaExceeded(
            f"{caller.owner!r} has {unfinished:,} unfinished run(s), and the token allows {quota:,}. Wait until some "
            f"finish, or cancel some, before you add {adding + beside:,}.",
            headers={"retry-after": str(RETRY_SECONDS)},
        )


def check_space(settings: Settings) -> None:
    """Check that the disk has room for what a run or an upload will write.

    Raises:
        StorageFull: The disk is nearly full.
    """
    free = shutil.disk_usage(settings.home).free
    if free < settings.min_free_bytes:
        raise StorageFull(
            f"The server's disk has {free:,} bytes left; below {settings.min_free_bytes:,} (FITWELL_MIN_FREE_BYTES) it "
            "accepts no new runs or uploads. Reading works, and queued runs continue. To make room, delete runs or "
            "keep checkpoints for fewer days (FITWELL_KEEP_CHECKPOINTS_DAYS)."
        )
