"""A service with a trained run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.settings import Settings
from tests.conftest import MigratedHome
from tests.service.models.serving import Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, migrated_home: MigratedHome) -> Iterator[Service]:
    yield from serving(Settings(data_dir=migrated_home(tmp_path_factory.mktemp("models"))))


@pytest.fixture(scope="module")
def run_id(service: Service) -> str:
    """A run for tests that change nothing."""
    return service.finished(name="a model")
