"""A server that stops waits for what its background tasks do in the database."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.studies.sequencer import Sequencer


def test_background_task_ends_before_the_database_is_closed(
    on_sqlite: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, log = threading.Event(), list[str]()

    def advance(_: Sequencer) -> int:
        started.set()
        time.sleep(0.2)
        log.append("look taken")
        return 0

    original = sa.Engine.dispose

    def dispose(engine: sa.Engine, close: bool = True) -> None:
        log.append("database closed")
        original(engine, close)

    monkeypatch.setattr(Sequencer, "advance", advance)
    monkeypatch.setattr(sa.Engine, "dispose", dispose)
    with TestClient(create_app(on_sqlite.model_copy(update={"look_seconds": 0.01}))):
        assert started.wait(10)
    assert log[log.index("database closed") :] == ["database closed"], "nothing runs afterwards"
    assert "look taken" in log
