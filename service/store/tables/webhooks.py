"""Webhook endpoints and deliveries to them."""

from __future__ import annotations

import sqlalchemy as sa

from service.store.tables.metadata import METADATA

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
