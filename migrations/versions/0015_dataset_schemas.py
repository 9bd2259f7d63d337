"""Uploads: columns, warnings, the options they were read with, the original file, and the dataset read before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; earlier uploads have no schema, no options and no original file."""
    op.add_column("dataset", sa.Column("schema", sa.JSON()))
    op.add_column("dataset", sa.Column("facts", sa.JSON()))
    op.add_column("dataset", sa.Column("options", sa.JSON()))
    op.add_column("dataset", sa.Column("warnings", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("dataset", sa.Column("source_sha256", sa.Text()))
    op.add_column("dataset", sa.Column("previous_id", sa.Text()))
    op.create_index("ix_dataset_source", "dataset", ["source_sha256"])
