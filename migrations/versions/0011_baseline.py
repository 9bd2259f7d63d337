"""The baseline of a run: metrics of predictions that ignore the inputs. Null for earlier runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("run", sa.Column("baseline", sa.JSON(none_as_null=True), nullable=True))
