"""Services that need tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from tests.conftest import MigratedHome
from tests.service.http.worlds import World, guarded, opened


@pytest.fixture
def world(tmp_path: Path, migrated_home: MigratedHome) -> Iterator[World]:
    yield from opened(guarded(migrated_home(tmp_path)))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, migrated_home: MigratedHome) -> Iterator[World]:
    """A server for tests that change nothing."""
    yield from opened(
        Settings(
            data_dir=migrated_home(tmp_path_factory.mktemp("shared")),
            auth="required",
            webhook_allow_private=True,
            failed_auth_per_minute=1000,
        )
    )


@pytest.fixture
def private(tmp_path: Path, migrated_home: MigratedHome) -> Iterator[World]:
    yield from opened(guarded(migrated_home(tmp_path), share_runs=False))
