"""Runs: the key of their sequence of epochs, by which a run of more epochs continues a finished one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of earlier runs it is null, so that only a request to extend them continues them."""
    op.add_column("run", sa.Column("trajectory_key", sa.Text()))
    op.create_index("ix_run_trajectory", "run", ["trajectory_key", "status"])
