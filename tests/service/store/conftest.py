"""Databases without any migration."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.settings import Settings


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def unmigrated(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings with an empty database on each kind of server."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgresql_database")
    return Settings(data_dir=tmp_path, database_url=url)
