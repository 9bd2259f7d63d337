"""Migrations and transactions, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import migrations
from service.settings import Settings
from service.store.database import StoreError, migrate, open_engine, reading, wal_is_safe, writing
from service.store.tables import METADATA, event_clock
from tests.patience import scaled


def test_migrations_have_one_head_which_a_start_requires() -> None:
    assert ScriptDirectory.from_config(migrations.config()).get_heads() == [migrations.HEAD]


def test_migrated_schema_equals_the_tables(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


@pytest.mark.slow
def test_database_of_every_older_revision_is_migrated(engine: sa.Engine) -> None:
    scripts = ScriptDirectory.from_config(migrations.config())
    for older in [script.revision for script in scripts.walk_revisions()][1:]:
        with engine.begin() as connection:
            METADATA.drop_all(connection)
            connection.execute(sa.text("DROP TABLE alembic_version"))
            config = migrations.config()
            config.attributes["connection"] = connection
            command.upgrade(config, older)
        migrate(engine)
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_repeated_or_concurrent_migration_is_safe(unmigrated: Settings) -> None:
    failures, barrier = list[BaseException](), threading.Barrier(4, timeout=scaled(20))

    def work() -> None:
        mine = open_engine(unmigrated)
        barrier.wait()
        try:
            migrate(mine)
            migrate(mine)
        except BaseException as error:
            failures.append(error)
        mine.dispose()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_database_newer_than_the_code_is_refused_with_both_revisions(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=rf"'9999'.*'{migrations.HEAD}'.*Upgrade Fitwell"):
        migrate(engine)


def test_failed_transaction_leaves_nothing_behind(engine: sa.Engine) -> None:
    def fail() -> None:
        with writing(engine) as connection:
            connection.execute(sa.update(event_clock).values(last=77))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with reading(engine) as connection:
        assert connection.scalar(sa.select(event_clock.c.last)) == 0


def test_concurrent_writers_wait_and_all_succeed(engine: sa.Engine) -> None:
    failures = list[BaseException]()

    def work() -> None:
        try:
            for _ in range(25):
                with writing(engine, durable=False) as connection:
                    last = connection.execute(sa.select(event_clock.c.last).with_for_update()).scalar_one()
                    connection.execute(sa.update(event_clock).values(last=last + 1))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with reading(engine) as connection:
        assert connection.scalar(sa.select(event_clock.c.last)) == 100


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 0), True),
        ((3, 50, 7), True),
        ((3, 44, 6), True),
        ((3, 40, 1), False),
    ],
)
def test_wal_is_used_only_with_a_safe_sqlite(version: tuple[int, int, int], safe: bool) -> None:
    assert wal_is_safe(version) is safe


def test_sqlite_in_use_is_safe_with_wal(tmp_path: Path) -> None:
    engine = open_engine(Settings(data_dir=tmp_path))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_unusable_database_is_refused_with_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="not writable"):
        open_engine(Settings(data_dir=tmp_path / "file" / "below"))
    with pytest.raises(StoreError, match="not in 'mysql'"):
        open_engine(Settings(data_dir=tmp_path, database_url="mysql://x/y"))
    engine = open_engine(Settings(data_dir=tmp_path, database_url="postgresql://user@127.0.0.1:1/x"))
    with pytest.raises(StoreError, match="cannot be used"):
        migrate(engine)
    (tmp_path / "fitwell.db").write_bytes(b"this is no database, it only is in its place" * 50)
    with pytest.raises(StoreError, match="cannot be used"):
        migrate(open_engine(Settings(data_dir=tmp_path)))
