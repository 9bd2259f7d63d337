"""Statements on reports, which are measured once, when a run finishes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from service.store.tables import report


def replace(connection: sa.Connection, run_id: str, reports: Mapping[str, Any]) -> None:
    """Replace all reports of a run."""
    connection.execute(sa.delete(report).where(report.c.run_id == run_id))
    for name, data in reports.items():
        connection.execute(sa.insert(report).values(run_id=run_id, name=name, data=data))


def find(connection: sa.Connection, run_id: str, name: str) -> Any:
    """Return the report's content, or None."""
    return connection.scalar(sa.select(report.c.data).where(report.c.run_id == run_id, report.c.name == name))
