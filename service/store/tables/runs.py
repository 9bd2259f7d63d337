"""Runs, with what workers record of them."""

from __future__ import annotations

import sqlalchemy as sa

from service.store.statuses import HELD, STATUSES
from service.store.tables.metadata import METADATA, listed

run = sa.Table(
    "run",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("spec_hash", sa.Text, nullable=False),
    sa.Column("reuse_key", sa.Text, nullable=False),
    sa.Column("stack_key", sa.Text, nullable=False),
    sa.Column("stack_runs", sa.Integer, nullable=False),
    sa.Column("reused_from", sa.Text, sa.ForeignKey("run.id")),
    sa.Column("study_id", sa.Text),
    sa.Column("arm", sa.Text),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("device_used", sa.Text),
    sa.Column("stack_size", sa.Integer),
    sa.Column("determinism_class", sa.Text),
    sa.Column("digest", sa.Text),
    sa.Column("resumes", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("barren", sa.Integer, nullable=False, server_default="0"),
    sa.Column("token", sa.Text),
    sa.Column("lease_expires_at", sa.Double),
    sa.Column("worker_id", sa.Text),
    sa.Column("claimed_at", sa.Double),
    sa.Column("spent_seconds", sa.Double, nullable=False, server_default="0"),
    sa.Column("max_seconds", sa.Double),
    sa.Column("extends", sa.Text),
    sa.Column("verifies", sa.Text),
    sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
    sa.Column("epochs", sa.Integer, nullable=False),
    sa.Column("best", sa.JSON(none_as_null=True)),
    sa.Column("last", sa.JSON, nullable=False),
    sa.Column("baseline", sa.JSON(none_as_null=True)),
    sa.Column("eta_seconds", sa.Double),
    sa.Column("revision", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("stop_rule", sa.Integer),
    sa.Column("peak_bytes", sa.BigInteger),
    sa.Column("waits_for", sa.Text),
    sa.Column("error_code", sa.Text),
    sa.Column("error_message", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("finished_at", sa.Double),
    sa.Column("owner", sa.Text, nullable=False, server_default="local"),
    sa.CheckConstraint(f"status IN ({listed(STATUSES)})", name="status"),
    sa.CheckConstraint(f"(token IS NOT NULL) = (status IN ({listed(HELD)}))", name="token"),
    sa.CheckConstraint("(token IS NULL) = (lease_expires_at IS NULL)", name="lease"),
    sa.Index("ix_run_created", "created_at", "id"),
    sa.Index("ix_run_status", "status", "created_at", "id"),
    sa.Index("ix_run_reuse", "reuse_key", "status"),
    sa.Index("ix_run_study", "study_id"),
    sa.Index("ix_run_verifies", "verifies"),
    sa.Index("ix_run_owner", "owner", "created_at", "id"),
)
_queued = run.c.status == sa.literal_column("'queued'")
sa.Index(
    "ix_run_queue", run.c.priority.desc(), run.c.created_at, run.c.id, sqlite_where=_queued, postgresql_where=_queued
)
sa.Index(
    "ix_run_alike", run.c.stack_key, run.c.epoch, run.c.priority.desc(), run.c.created_at, run.c.id,
    sqlite_where=_queued, postgresql_where=_queued,
)  # fmt: skip
_held = run.c.token.is_not(None)
sa.Index("ix_run_lease", run.c.lease_expires_at, sqlite_where=_held, postgresql_where=_held)
_waits = run.c.waits_for.is_not(None)
sa.Index("ix_run_waits", run.c.waits_for, sqlite_where=_waits, postgresql_where=_waits)
_unfinished = run.c.finished_at.is_(None)
sa.Index("ix_run_unfinished", run.c.owner, sqlite_where=_unfinished, postgresql_where=_unfinished)

epoch = sa.Table(
    "epoch",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("steps", sa.Integer, nullable=False),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("nonfinite", sa.JSON, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("recorded_at", sa.Double, nullable=False),
)

checkpoint = sa.Table(
    "checkpoint",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("written_at", sa.Double, nullable=False),
    sa.Index("ix_checkpoint_path", "path"),
)

weights = sa.Table(
    "weights",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("at", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("written_at", sa.Double, nullable=False),
    sa.CheckConstraint("at IN ('best', 'last', 'averaged', 'start')", name="at"),
    sa.Index("ix_weights_path", "path"),
    sa.Index("ix_weights_content", "sha256"),
)

teacher = sa.Table(
    "teacher",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("teacher_id", sa.Text, nullable=False),
    sa.Column("path", sa.Text),
    sa.Column("epoch", sa.Integer),
    sa.Column("sha256", sa.Text),
    sa.Column("bytes", sa.BigInteger),
    sa.Index("ix_teacher_student", "teacher_id"),
    sa.Index("ix_teacher_path", "path"),
    sa.Index("ix_teacher_content", "sha256"),
)

note = sa.Table(
    "note",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id", ondelete="CASCADE"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Index("ix_note_run", "run_id", "id"),
)

series = sa.Table(
    "series",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("first", sa.Integer, nullable=False),
    sa.Column("values", sa.LargeBinary, nullable=False),
)

report = sa.Table(
    "report",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("data", sa.JSON, nullable=False),
)
