"""Studies, the reproductions that consist of them, and the test parts that they have opened."""

from __future__ import annotations

import sqlalchemy as sa

from service.store.statuses import TUNING
from service.store.tables.metadata import METADATA, listed

study = sa.Table(
    "study",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("arms", sa.JSON, nullable=False),
    sa.Column("seeds", sa.JSON, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("baseline", sa.Text, nullable=False),
    sa.Column("looks", sa.Integer, nullable=False),
    sa.Column("looks_from", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("seeds_required", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("next_look", sa.Integer),
    sa.Column("stop_reason", sa.Text),
    sa.Column("quota", sa.Integer),
    sa.Column("tuning_phase", sa.Text),
    sa.Column("tuning", sa.JSON(none_as_null=True)),
    sa.Column("confirms", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("owner", sa.Text, nullable=False, server_default="local"),
    sa.Index("ix_study_created", "created_at", "id"),
)
_sequential = study.c.next_look.is_not(None)
sa.Index("ix_study_next_look", study.c.next_look, sqlite_where=_sequential, postgresql_where=_sequential)
_confirming = study.c.confirms.is_not(None)
sa.Index("ix_study_confirms", study.c.confirms, sqlite_where=_confirming, postgresql_where=_confirming)
_tuning = sa.text(f"tuning_phase IN ({listed(TUNING)})")
sa.Index("ix_study_tuning", study.c.tuning_phase, sqlite_where=_tuning, postgresql_where=_tuning)

study_look = sa.Table(
    "study_look",
    METADATA,
    sa.Column("study_id", sa.Text, sa.ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seeds", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("results", sa.JSON, nullable=False),
    sa.Column("taken_at", sa.Double, nullable=False),
)

reproduction = sa.Table(
    "reproduction",
    METADATA,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("scale", sa.Text, primary_key=True),
    sa.Column("definition", sa.Text, primary_key=True),
    sa.Column("studies", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
)

test_opening = sa.Table(
    "test_opening",
    METADATA,
    sa.Column("study_id", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("opened_at", sa.Double, nullable=False),
    sa.Index("ix_test_opening_dataset", "dataset"),
)
