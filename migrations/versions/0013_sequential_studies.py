"""Sequential studies: their looks, the next one, and the quota of the token that created them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of looks and the columns of studies that take them."""
    op.add_column("study", sa.Column("next_look", sa.Integer()))
    op.add_column("study", sa.Column("stop_reason", sa.Text()))
    op.add_column("study", sa.Column("quota", sa.Integer()))
    op.create_index(
        "ix_study_next_look",
        "study",
        ["next_look"],
        sqlite_where=sa.text("next_look IS NOT NULL"),
        postgresql_where=sa.text("next_look IS NOT NULL"),
    )
    op.create_table(
        "study_look",
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("seeds", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("results", sa.JSON(), nullable=False),
        sa.Column("taken_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_study_look_study_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "seeds", name="pk_study_look"),
    )
