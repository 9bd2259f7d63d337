"""SQL statements on uploaded datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.statuses import ENDED
from service.store.tables import dataset, db_now, run

FILES_LOCK = 0x75706C64
"""PostgreSQL's advisory lock for moving or removing files in the folder of uploads."""
WITHOUT_PREVIEW = [column for column in dataset.c if column is not dataset.c.preview]
LISTED = [column for column in WITHOUT_PREVIEW if column not in (dataset.c.schema, dataset.c.options)]


def lock_files(connection: sa.Connection) -> None:
    """Lock the files until the end of the transaction; not needed on SQLite, where writers are serial anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(FILES_LOCK)))


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Insert a dataset, created at the database's time."""
    connection.execute(sa.insert(dataset).values(created_at=db_now(), **values))


def by_id(connection: sa.Connection, dataset_id: str, *, lock: bool = False) -> Row | None:
    """Return one dataset without its preview; ``lock`` keeps new runs from naming it until the transaction ends."""
    statement = sa.select(*WITHOUT_PREVIEW).where(dataset.c.id == dataset_id)
    return connection.execute(statement.with_for_update() if lock else statement).first()


def preview(connection: sa.Connection, dataset_id: str) -> Any:
    """Return a dataset's preview; None if the dataset does not exist."""
    return connection.scalar(sa.select(dataset.c.preview).where(dataset.c.id == dataset_id))


def page(
    connection: sa.Connection, *, before: tuple[float, str] | None, limit: int, owner: str | None = None
) -> Sequence[Row]:
    """Return datasets (of ``owner``), newest first, starting after ``before`` (created_at, id).

    They lack previews, columns and options.
    """
    statement = sa.select(*LISTED).order_by(dataset.c.created_at.desc(), dataset.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(sa.tuple_(dataset.c.created_at, dataset.c.id) < sa.tuple_(*before))
    if owner is not None:
        statement = statement.where(dataset.c.owner == owner)
    return connection.execute(statement).all()


def runs_that_need(connection: sa.Connection, dataset_id: str, limit: int) -> Sequence[str]:
    """Return the ids of up to ``limit`` active runs that name the dataset, also as the transfer set of a teacher."""
    conditions = (run.c.status.not_in(ENDED), sa.cast(run.c.spec, sa.Text).contains(f'"{dataset_id}"', autoescape=True))
    return connection.execute(sa.select(run.c.id).where(*conditions).order_by(run.c.id).limit(limit)).scalars().all()


def add_source(connection: sa.Connection, dataset_id: str, values: Mapping[str, Any]) -> None:
    """Record the original file of a dataset that has none, and the options it was read with."""
    connection.execute(sa.update(dataset).where(dataset.c.id == dataset_id).values(**values))


def has_source(connection: sa.Connection, sha256: str) -> bool:
    """Return whether a dataset was read from the original file with this SHA-256."""
    return (
        connection.execute(sa.select(dataset.c.id).where(dataset.c.source_sha256 == sha256).limit(1)).first()
        is not None
    )


def delete(connection: sa.Connection, dataset_id: str) -> None:
    """Delete a dataset, but not its file."""
    connection.execute(sa.delete(dataset).where(dataset.c.id == dataset_id))
