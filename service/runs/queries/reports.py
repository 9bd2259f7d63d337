"""Statements on reports: what is measured once, at a run's end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from service.store.tables import report


def replace(connection: sa.Connection, run_id: str, reports: Mapping[str, Any]) -> None:
    """Let a run have these reports and no others."""
    connection.execute(sa.delete(report).where(report.c.run_id == run_id))
    for name, data in reports.items():
        connection.execute(sa.insert(report).values(run_id=run_id, name=name, data=data))


def find(connection: sa.Connection, run_id: str, name: str) -> Any:
    """One report's content, or None where there is none."""
    return connection.scalar(sa.select(report.c.data).where(report.c.run_id == run_id, report.c.name == name))
