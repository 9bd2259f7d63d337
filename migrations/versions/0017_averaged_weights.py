"""Weights: files of averaged weights, beside those of the best and the last epoch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Allow one more value; SQLite changes a constraint only with a new table, into which the rows are copied."""
    allowed = sa.CheckConstraint("at IN ('best', 'last', 'averaged', 'start')", name=op.f("ck_weights_at"))
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("weights", copy_from=_weights(allowed), recreate="always"):
            pass
        return
    op.drop_constraint(op.f("ck_weights_at"), "weights", type_="check")
    op.create_check_constraint(op.f("ck_weights_at"), "weights", allowed.sqltext)


def _weights(allowed: sa.CheckConstraint) -> sa.Table:
    """Return the table with the constraint ``allowed``."""
    return sa.Table(
        "weights",
        sa.MetaData(),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.Double(), nullable=False),
        allowed,
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_weights_run_id_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "at", name=op.f("pk_weights")),
        sa.Index("ix_weights_path", "path"),
        sa.Index("ix_weights_content", "sha256"),
    )
