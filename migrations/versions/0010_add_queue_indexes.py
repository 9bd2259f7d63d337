"""Two indexes: runs by status, and those in the queue by what they can share a stack with.

So of a million runs the twenty newest that failed are found without looking at the others, and in a long queue the
mates of a claim.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing but the indexes."""
    op.create_index("ix_run_status", "run", ["status", "created_at", "id"])
    op.create_index(
        "ix_run_alike",
        "run",
        ["stack_key", "epoch", sa.literal_column("priority DESC"), "created_at", "id"],
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
