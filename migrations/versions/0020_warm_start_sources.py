"""Runs: the run that a waiting one starts from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no earlier run waits for weights to start from."""
    op.add_column("run", sa.Column("waits_for", sa.Text()))
    waits = sa.text("waits_for IS NOT NULL")
    op.create_index("ix_run_waits", "run", ["waits_for"], sqlite_where=waits, postgresql_where=waits)
