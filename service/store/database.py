"""Opening the database, migrating it, and transactions on it: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json
from pysqlite3 import dbapi2 as sqlite

import migrations
from service.settings import Settings
from service.store.sqlite_json import escape_paths

LOG = logging.getLogger("fitwell.store")
WAL_IS_SAFE_FROM = (3, 51, 3)
"""Before it, several WAL connections can corrupt the file; fixed as well in 3.50.7 and 3.44.6."""
WAL_IS_SAFE_AT = {(3, 50): 7, (3, 44): 6}
BUSY_SECONDS = 30
"""How long a connection waits for a lock."""
MIN_IDLE_SECONDS = 5.0
"""Lower bound of PostgreSQL's idle-in-transaction timeout for writers, which is half of a lease."""
MIGRATION_LOCK = 0x66697477
"""PostgreSQL's advisory lock that serializes migrations."""


class StoreError(Exception):
    """The database cannot be used."""


def open_engine(settings: Settings) -> sa.Engine:
    """Create the data directory and return the engine of the database in ``settings``.

    Raises:
        StoreError: The directory is not writable, or the address is invalid.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.home):
            pass
    except OSError as error:
        raise StoreError(
            f"The data directory {settings.home} is not writable ({error.strerror}). "
            "Name another with --data-dir or FITWELL_DATA_DIR."
        ) from error
    try:
        url = sa.make_url(settings.url)
    except sa.exc.ArgumentError as error:
        raise StoreError(
            "FITWELL_DATABASE_URL is not a database URL such as postgresql+psycopg://user@host/fitwell."
        ) from error
    dumps = partial(json.dumps, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    # Parsing JSON dominates the time to read a history; this parser takes a third of it.
    texts: dict[str, Any] = {"json_serializer": dumps, "json_deserializer": from_json}
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, module=sqlite, connect_args={"timeout": BUSY_SECONDS}, **texts)
        _prepare_sqlite(engine)
        escape_paths(engine)
        return engine
    if url.get_backend_name() == "postgresql":
        engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, **texts)
        _prepare_postgresql(engine, max(MIN_IDLE_SECONDS, settings.lease_seconds / 2))
        return engine
    raise StoreError(f"Fitwell stores in SQLite or PostgreSQL, not in {url.get_backend_name()!r}.")


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Return whether this SQLite version is safe with several connections in WAL mode."""
    fixed = WAL_IS_SAFE_AT.get(version[:2])
    return version >= WAL_IS_SAFE_FROM or (fixed is not None and version[2] >= fixed)


def _prepare_sqlite(engine: sa.Engine) -> None:
    safe = wal_is_safe(sqlite.sqlite_version_info)
    if not safe:
        LOG.warning("SQLite %s has a WAL bug: journal_mode=DELETE is used, which is slower", sqlite.sqlite_version)

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, where it is known whether they write
        for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "foreign_keys=ON", "journal_size_limit=67108864"):
            connection.execute(f"PRAGMA {pragma}")
        _set_journal(connection, "WAL" if safe else "DELETE")

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        durable = options.get("durable", True) or not safe
        synchronous = "FULL" if durable else "NORMAL"
        if connection.info.get("synchronous") != synchronous:
            connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
            connection.info["synchronous"] = synchronous
        # Upgrading a read to a write fails at once if another connection has written, whatever busy_timeout says.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("write", True) else "BEGIN")


def _prepare_postgresql(engine: sa.Engine, idle_seconds: float) -> None:
    """Set timeouts, so that no connection blocks the others for good.

    A writer that stops in mid-transaction (suspended, or its machine loses power or its network) keeps its locks, among
    them that of the event log's counter, which every writer needs. The server therefore ends idle transactions.
    """

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
        connection.commit()

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("write", True):
            milliseconds = round(idle_seconds * 1000)
            connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}")

    @sa.event.listens_for(engine, "handle_error")
    def failed(context: sa.ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if context.is_disconnect and isinstance(error, sa.exc.InternalError):  # psycopg's error for this case
            raise sa.exc.OperationalError(error.statement, error.params, context.original_exception)


def _set_journal(connection: Any, mode: str) -> None:
    """Set the journal mode; retry, because SQLite refuses one of two simultaneous changes without waiting."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode={mode}")
        except sqlite.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a read-only transaction on a consistent snapshot."""
    with engine.execution_options(write=False, durable=False).begin() as connection:
        yield connection


@contextmanager
def writing(engine: sa.Engine, *, durable: bool = True) -> Iterator[sa.Connection]:
    """Open a transaction that writes.

    With ``durable`` a committed transaction survives a power cut; without, it survives the death of every process.
    """
    with engine.execution_options(write=True, durable=durable).begin() as connection:
        yield connection


def migrate(engine: sa.Engine) -> None:
    """Upgrade the database to the schema of this code; fast if it is current, and safe to run concurrently.

    Raises:
        StoreError: The database cannot be reached, or is newer than the code.
    """
    try:
        with reading(engine) as connection:
            if _revision(connection) == migrations.HEAD:
                return
        with writing(engine) as connection:
            _lock(connection)
            if _revision(connection) != migrations.HEAD:
                _upgrade(connection)
    except sa.exc.DatabaseError as error:
        raise StoreError(f"The database {engine.url!r} cannot be used: {_reason(error)}.") from error


def _reason(error: sa.exc.DBAPIError) -> str:
    return " ".join(str(error.orig).split()).rstrip(".")


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return revision


def _lock(connection: sa.Connection) -> None:
    """Serialize migrations; on SQLite the transaction itself does."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET LOCAL lock_timeout = '30s'"))
        connection.execute(sa.text("SET LOCAL statement_timeout = '10min'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - slow to import, rarely needed
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = migrations.config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    revision = _revision(connection)
    if revision is not None and revision not in known:
        raise StoreError(
            f"The database is at revision {revision!r}, which this Fitwell does not know (its newest is "
            f"{migrations.HEAD!r}): it was written by a newer one. Upgrade Fitwell, or restore the backup made before."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    LOG.info("migrated the database from %s to %s", revision, migrations.HEAD)
