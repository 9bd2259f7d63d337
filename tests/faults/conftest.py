"""Fixtures of the fault tests: both databases, and the result that no fault may change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.system import LONG, once, result_of, system
from tests.patience import scaled


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this folder as slow, and for `make test-faults`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.fault)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """The address of a database; None stands for SQLite's file in the data directory."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgresql_database"))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of the systems' spec without a fault."""
    return once(tmp_path_factory, "undisturbed", lambda home: _undisturbed(home, {}))


@pytest.fixture(scope="session")
def undisturbed_long(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of the longer spec without a fault."""
    return once(tmp_path_factory, "undisturbed_long", lambda home: _undisturbed(home, LONG))


def _undisturbed(home: Path, spec: dict[str, Any]) -> dict[str, Any]:
    with system(home, None) as quiet:
        quiet.start("service")
        quiet.start("worker")
        return result_of(home, quiet.submit(**spec).wait(scaled(120)))
