"""Teachers of students."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table: who teaches whom, and the weights of those that have ended."""
    op.create_table(
        "teacher",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("teacher_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_teacher_run_id_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "place", name=op.f("pk_teacher")),
    )
    op.create_index("ix_teacher_student", "teacher", ["teacher_id"])
    op.create_index("ix_teacher_path", "teacher", ["path"])
    op.create_index("ix_teacher_content", "teacher", ["sha256"])
