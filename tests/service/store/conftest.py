"""Databases without any migration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from tests.conftest import fresh_database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def unmigrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings with an empty database on each kind of server."""
    if request.param == "sqlite":
        yield Settings(data_dir=tmp_path)
        return
    with fresh_database(request.getfixturevalue("postgresql")) as address:
        yield Settings(data_dir=tmp_path, database_url=address)
