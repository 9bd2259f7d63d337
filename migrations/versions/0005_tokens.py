"""Tokens, and owners of runs and studies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table of tokens. Existing rows belong to "local", like everything created without a token."""
    op.create_table(
        "token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("max_active_runs", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("sha256", name=op.f("uq_token_sha256")),
    )
    for table in ("run", "study"):
        op.add_column(table, sa.Column("owner", sa.Text(), server_default="local", nullable=False))
    op.create_index("ix_run_owner", "run", ["owner", "created_at", "id"])
    unfinished = sa.text("finished_at IS NULL")
    op.create_index("ix_run_unfinished", "run", ["owner"], sqlite_where=unfinished, postgresql_where=unfinished)
    keys = sa.table("idempotency_key", sa.column("owner", sa.Text))
    op.execute(keys.update().where(keys.c.owner == "").values(owner="local"))
