"""A registry with planted reproductions in place of the published ones."""

from __future__ import annotations

import pytest

from service.reproductions import published, service
from tests.service.reproductions.planted import REGISTRY


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (published, service):
        monkeypatch.setattr(module, "reproductions", lambda: REGISTRY)
