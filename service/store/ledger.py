"""Statements on the ledger of test parts: which studies have judged on the test rows of which datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from service.store.tables import db_now, test_opening


def record(connection: sa.Connection, study_id: str, digests: Sequence[str], owner: str) -> None:
    """Record that a study judges on the test parts of the datasets with these digests."""
    rows = [{"study_id": study_id, "dataset": digest, "owner": owner} for digest in digests]
    connection.execute(sa.insert(test_opening).values(opened_at=db_now()), rows)


def openings(connection: sa.Connection, digests: Sequence[str]) -> Mapping[str, int]:
    """Return by digest how many studies have judged on the dataset's test part; studies that were deleted count."""
    counted = sa.select(test_opening.c.dataset, sa.func.count().label("studies"))
    statement = counted.where(test_opening.c.dataset.in_(digests)).group_by(test_opening.c.dataset)
    counts = {row.dataset: row.studies for row in connection.execute(statement)}
    return {digest: counts.get(digest, 0) for digest in digests}
