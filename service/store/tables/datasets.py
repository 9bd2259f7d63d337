"""Uploaded datasets."""

from __future__ import annotations

import sqlalchemy as sa

from service.store.tables.metadata import METADATA

dataset = sa.Table(
    "dataset",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("shape", sa.JSON, nullable=False),
    sa.Column("classes", sa.JSON, nullable=False),
    sa.Column("rows_train", sa.BigInteger, nullable=False),
    sa.Column("rows_test", sa.BigInteger, nullable=False),
    sa.Column("order", sa.Text, nullable=False, server_default="random"),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("warnings", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("preview", sa.JSON, nullable=False),
    sa.Column("schema", sa.JSON(none_as_null=True)),
    sa.Column("facts", sa.JSON(none_as_null=True)),
    sa.Column("options", sa.JSON(none_as_null=True)),
    sa.Column("source_sha256", sa.Text),
    sa.Column("previous_id", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("ix_dataset_created", "created_at", "id"),
    sa.Index("ix_dataset_source", "source_sha256"),
)
