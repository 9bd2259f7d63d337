"""Paths into JSON on SQLite, with quoted keys escaped, which SQLAlchemy does not do."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.json import JSONIndexType, JSONPathType


class _Index(JSONIndexType):
    def _format_value(self, value: Any) -> str:
        return super()._format_value(_escaped(value))


class _Path(JSONPathType):
    def _format_value(self, value: Any) -> str:
        return super()._format_value([_escaped(step) for step in value])


def escape_paths(engine: sa.Engine) -> None:
    """Make statements of ``engine`` match keys that contain quotes and backslashes."""
    known: dict[type[sa.types.TypeEngine[Any]], type[sa.types.TypeEngine[Any]]] = dict(engine.dialect.colspecs)
    engine.dialect.colspecs = known | {sa.JSON.JSONIndexType: _Index, sa.JSON.JSONPathType: _Path}


def _escaped(step: Any) -> Any:
    return json.dumps(step, ensure_ascii=False)[1:-1] if isinstance(step, str) else step
