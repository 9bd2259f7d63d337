"""How an upload's rows are held out: at random, or the last ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column of datasets; those that are there keep their splits."""
    op.add_column("dataset", sa.Column("order", sa.Text(), nullable=False, server_default="random"))
