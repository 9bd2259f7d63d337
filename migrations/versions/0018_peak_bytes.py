"""Runs: the peak of the memory that training them took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of earlier runs it is null."""
    op.add_column("run", sa.Column("peak_bytes", sa.BigInteger()))
