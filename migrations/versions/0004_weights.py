"""Weights and logs of runs; how long a run may train and did; runs that extend or verify others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables of weights and of notes, and five columns of runs."""
    op.create_table(
        "weights",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.Double(), nullable=False),
        sa.CheckConstraint("at IN ('best', 'last', 'start')", name=op.f("ck_weights_at")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_weights_run_id_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "at", name=op.f("pk_weights")),
    )
    op.create_index("ix_weights_path", "weights", ["path"])
    op.create_index("ix_weights_content", "weights", ["sha256"])
    op.create_index("ix_checkpoint_path", "checkpoint", ["path"])
    op.create_table(
        "note",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_note_run_id_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_note")),
    )
    op.create_index("ix_note_run", "note", ["run_id", "id"])
    op.add_column("run", sa.Column("claimed_at", sa.Double(), nullable=True))
    op.add_column("run", sa.Column("spent_seconds", sa.Double(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("max_seconds", sa.Double(), nullable=True))
    op.add_column("run", sa.Column("extends", sa.Text(), nullable=True))
    op.add_column("run", sa.Column("verifies", sa.Text(), nullable=True))
    op.create_index("ix_run_verifies", "run", ["verifies"])
