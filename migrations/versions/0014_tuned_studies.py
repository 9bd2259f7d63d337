"""Tuned studies: their phase and choice, the study that one confirms, and the studies that open a test part."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

UNFINISHED = "tuning_phase IN ('searching', 'frozen', 'confirming')"


def upgrade() -> None:
    """Add the columns of tuned studies and the ledger of test parts."""
    op.add_column("study", sa.Column("tuning_phase", sa.Text()))
    op.add_column("study", sa.Column("tuning", sa.JSON()))
    op.add_column("study", sa.Column("confirms", sa.Text()))
    op.create_index(
        "ix_study_tuning",
        "study",
        ["tuning_phase"],
        sqlite_where=sa.text(UNFINISHED),
        postgresql_where=sa.text(UNFINISHED),
    )
    op.create_index(
        "ix_study_confirms",
        "study",
        ["confirms"],
        sqlite_where=sa.text("confirms IS NOT NULL"),
        postgresql_where=sa.text("confirms IS NOT NULL"),
    )
    op.create_table(
        "test_opening",
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "dataset", name="pk_test_opening"),
    )
    op.create_index("ix_test_opening_dataset", "test_opening", ["dataset"])
