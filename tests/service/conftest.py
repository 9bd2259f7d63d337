"""A service on a directory of its own, and a client that talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.database import open_engine
from service.workers.jobs import Jobs


@pytest.fixture
def here(on_sqlite: Settings) -> Settings:
    return on_sqlite


@pytest.fixture
def client(here: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(here), raise_server_exceptions=False) as connected:
        yield connected


@pytest.fixture
def work(here: Settings, client: TestClient) -> Iterator[Jobs]:
    """The worker's side of the same database."""
    engine = open_engine(here)
    yield Jobs(engine, here)
    engine.dispose()
