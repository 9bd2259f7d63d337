"""The earlier studies whose looks a study inherits, and the seeds that it therefore has to include."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns to studies."""
    op.add_column("study", sa.Column("looks_from", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("study", sa.Column("seeds_required", sa.JSON(), nullable=False, server_default="[]"))
