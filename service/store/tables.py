"""The tables. Times are seconds since the epoch by the database's clock; JSON is text."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from service.store.statuses import HELD, STATUSES, TUNING

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class db_now(FunctionElement[float]):  # noqa: N801 - it is written like the SQL function that it is
    """The database's clock in seconds since the epoch, to the millisecond; it advances within a transaction."""

    type = sa.Double()
    inherit_cache = True


@compiles(db_now, "sqlite")
def _sqlite_now(*_: Any, **__: Any) -> str:
    return "unixepoch('subsec')"


@compiles(db_now, "postgresql")
def _postgresql_now(*_: Any, **__: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


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
    sa.Column("error_code", sa.Text),
    sa.Column("error_message", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("finished_at", sa.Double),
    sa.Column("owner", sa.Text, nullable=False, server_default="local"),
    sa.CheckConstraint(f"status IN ({_listed(STATUSES)})", name="status"),
    sa.CheckConstraint(f"(token IS NOT NULL) = (status IN ({_listed(HELD)}))", name="token"),
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
_tuning = sa.text(f"tuning_phase IN ({_listed(TUNING)})")
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

dataset = sa.Table(
    "dataset",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("shape", sa.JSON, nullable=False),
    sa.Column("classes", sa.JSON, nullable=False),
    sa.Column("rows_train", sa.BigInteger, nullable=False),
    sa.Column("rows_test", sa.BigInteger, nullable=False),
    sa.Column("order", sa.Text, nullable=False, server_default="random"),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("warnings", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("preview", sa.JSON, nullable=False),
    sa.Column("schema", sa.JSON(none_as_null=True)),
    sa.Column("facts", sa.JSON(none_as_null=True)),
    sa.Column("options", sa.JSON(none_as_null=True)),
    sa.Column("source_sha256", sa.Text),
    sa.Column("previous_id", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("ix_dataset_created", "created_at", "id"),
    sa.Index("ix_dataset_source", "source_sha256"),
)

report = sa.Table(
    "report",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("data", sa.JSON, nullable=False),
)

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

worker = sa.Table(
    "worker",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("devices", sa.JSON, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
)

idempotency_key = sa.Table(
    "idempotency_key",
    METADATA,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("body_sha256", sa.Text, nullable=False),
    sa.Column("made", sa.Text, nullable=False),
    sa.Column("status_code", sa.Integer, nullable=False),
    sa.Column("response", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
)

token = sa.Table(
    "token",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("max_active_runs", sa.Integer),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double),
    sa.Column("last_used_at", sa.Double),
    sa.Column("revoked_at", sa.Double),
    sa.UniqueConstraint("sha256"),
)

webhook_endpoint = sa.Table(
    "webhook_endpoint",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("hears_all", sa.Boolean, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("events", sa.JSON, nullable=False),
    sa.Column("study_id", sa.Text),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("old_secret", sa.Text),
    sa.Column("old_secret_expires_at", sa.Double),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("disabled_reason", sa.Text),
    sa.Column("failing_since", sa.Double),
    sa.Column("since_event", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.CheckConstraint("(old_secret IS NULL) = (old_secret_expires_at IS NULL)", name="old_secret"),
    sa.Index("ix_webhook_endpoint_created", "created_at", "id"),
)

webhook_cursor = sa.Table(
    "webhook_cursor",
    METADATA,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("event_id", sa.BigInteger, nullable=False),
    sa.CheckConstraint("one = 1", name="one"),
)

webhook_delivery = sa.Table(
    "webhook_delivery",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("endpoint_id", sa.Text, sa.ForeignKey("webhook_endpoint.id", ondelete="CASCADE"), nullable=False),
    sa.Column("event_id", sa.BigInteger),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt_at", sa.Double),
    sa.Column("token", sa.Text),
    sa.Column("lease_expires_at", sa.Double),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name="status"),
    sa.CheckConstraint("(status = 'pending') = (next_attempt_at IS NOT NULL)", name="next_attempt"),
    sa.CheckConstraint("(status = 'pending') = (ended_at IS NULL)", name="ended"),
    sa.CheckConstraint("(token IS NULL) = (lease_expires_at IS NULL)", name="lease"),
    sa.UniqueConstraint("endpoint_id", "event_id", "type", name="uq_webhook_delivery_event"),
    sa.Index("ix_webhook_delivery_log", "endpoint_id", "created_at", "id"),
)
_pending = webhook_delivery.c.status == sa.literal_column("'pending'")
sa.Index(
    "ix_webhook_delivery_due",
    webhook_delivery.c.endpoint_id,
    webhook_delivery.c.next_attempt_at,
    sqlite_where=_pending,
    postgresql_where=_pending,
)
_sent = webhook_delivery.c.token.is_not(None)
sa.Index("ix_webhook_delivery_held", webhook_delivery.c.endpoint_id, sqlite_where=_sent, postgresql_where=_sent)

webhook_attempt = sa.Table(
    "webhook_attempt",
    METADATA,
    sa.Column("delivery_id", sa.Text, sa.ForeignKey("webhook_delivery.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("status_code", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("response", sa.Text),
)
