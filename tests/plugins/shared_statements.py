"""SQLite databases of one test process share their compiled statements.

SQLAlchemy compiles each statement once for each engine, which takes longer than most statements, and nearly every test
has a database of its own. The engines differ in their files only, so that one dialect and its statements serve all.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.util import LRUCache

from service.store import database

_MAX_STATEMENTS = 5000


def pytest_collection_finish() -> None:
    """Give every SQLite engine the dialect and the compiled statements of the first one that connected."""
    compiled: LRUCache[Any, Any] = LRUCache(_MAX_STATEMENTS)
    dialects: list[sa.Dialect] = []
    prepare = database._prepare_sqlite

    def prepare_and_share(engine: sa.Engine) -> None:
        prepare(engine)
        engine._compiled_cache = compiled
        if dialects:
            engine.dialect = dialects[0]
            return

        @sa.event.listens_for(engine, "connect", once=True)
        def connected(*_: Any) -> None:
            dialects.append(engine.dialect)  # SQLAlchemy knows the version of the database by now

    database._prepare_sqlite = prepare_and_share
