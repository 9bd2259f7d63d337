"""The log of events."""

from __future__ import annotations

import sqlalchemy as sa

from service.store.tables.metadata import METADATA

event = sa.Table(
    "event",
    METADATA,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id", ondelete="CASCADE"), nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Index("ix_event_run", "run_id", "id"),
)

event_clock = sa.Table(
    "event_clock",
    METADATA,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.CheckConstraint("one = 1", name="one"),
)
