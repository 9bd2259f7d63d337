"""Runs: the position of the stop rule that ended them in their spec."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of earlier runs it is null, and deduced from the spec where that is unambiguous."""
    op.add_column("run", sa.Column("stop_rule", sa.Integer()))
