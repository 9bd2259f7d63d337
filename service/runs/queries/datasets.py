"""Statements on the uploaded datasets that runs reference."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import dataset

_COLUMNS = [column for column in dataset.c if column is not dataset.c.preview]


def by_id(connection: sa.Connection, dataset_id: str) -> Row | None:
    """Return a dataset without its preview, or None."""
    return connection.execute(sa.select(*_COLUMNS).where(dataset.c.id == dataset_id)).first()


def rows_of_classes(connection: sa.Connection, dataset_id: str) -> tuple[int, ...]:
    """Return the rows of each class in the training part of a dataset; empty if its target is a number."""
    preview = connection.execute(sa.select(dataset.c.preview).where(dataset.c.id == dataset_id)).scalar_one()
    return tuple(count["rows_train"] for count in preview["class_counts"] or ())


def newest(connection: sa.Connection, limit: int, *, owner: str | None) -> Sequence[Row]:
    """Return the newest datasets (of ``owner``) without their previews."""
    statement = sa.select(*_COLUMNS).order_by(dataset.c.created_at.desc(), dataset.c.id.desc())
    return connection.execute(
        statement.where(*([] if owner is None else [dataset.c.owner == owner])).limit(limit)
    ).all()


def lock(connection: sa.Connection, dataset_ids: Sequence[str]) -> set[str]:
    """Return those of ``dataset_ids`` that exist, and keep others from deleting them until the transaction ends."""
    statement = sa.select(dataset.c.id).where(dataset.c.id.in_(dataset_ids)).order_by(dataset.c.id)
    return set(connection.execute(statement.with_for_update(read=True, key_share=True)).scalars())
