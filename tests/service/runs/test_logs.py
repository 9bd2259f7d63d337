"""The log of requests: it has their ids, contains no secrets, and cannot be forged."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import body
from worker import logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging as other tests expect it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], str]]:
    """Return a function that starts logging to memory and returns a reader of the log."""

    def begin(level: str, form: logs.Form) -> Callable[[], str]:
        errors = io.StringIO()
        monkeypatch.setattr(sys, "stderr", errors)
        monkeypatch.setenv(logs.LEVEL, level)
        monkeypatch.setenv(logs.FORM, form)
        logs.set_up_as_parent()
        return errors.getvalue

    return begin


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_request_is_logged_in_one_line_with_its_id(
    client: TestClient, logged: Callable[..., Callable[[], str]]
) -> None:
    text = logged("DEBUG", "json")
    answer = client.post("/v1/runs", json=body(), headers={"x-request-id": "mine-1"})
    (line,) = [one for one in lines(text()) if one["logger"] == "fitwell.requests"]
    logged_fields = {name: line[name] for name in ("level", "method", "path", "status", "request_id", "owner")}
    assert logged_fields == {
        "level": "DEBUG", "method": "POST", "path": "/v1/runs", "status": 201, "request_id": "mine-1", "owner": "local",
    }  # fmt: skip
    assert answer.headers["x-request-id"] == "mine-1"
    assert 0 < line["seconds"] < 60


def test_refusals_are_logged_at_info_and_successes_at_debug_only(
    client: TestClient, logged: Callable[..., Callable[[], str]]
) -> None:
    text = logged("INFO", "json")
    client.post("/v1/runs", json=body())
    missing = client.get("/v1/runs/run_none")
    (line,) = lines(text())
    assert (line["status"], line["request_id"]) == (404, missing.json()["request_id"])
    text = logged("DEBUG", "json")
    client.get("/healthz")
    assert [one["path"] for one in lines(text()) if one["logger"] == "fitwell.requests"] == ["/healthz"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_log_has_no_secrets_and_no_forged_lines(
    form: logs.Form, client: TestClient, logged: Callable[..., Callable[[], str]]
) -> None:
    text = logged("INFO", form)
    client.get(
        "/v1/nothing%0A2026-01-01 forged INFO all is well?token=secret-1", headers={"authorization": "Bearer secret-2"}
    )
    client.post("/v1/runs", json={"secret-3": 1})
    assert "secret" not in text()
    assert [line for line in text().splitlines() if line.startswith("2026-01-01")] == []
    assert len(text().splitlines()) == 2


def test_text_format_appends_the_context_of_a_line(logged: Callable[..., Callable[[], str]]) -> None:
    text = logged("INFO", "text")
    with logs.about(request_id="req_1"), logs.about(run_ids=["run_1", "run_2"]):
        logging.getLogger("fitwell.worker").warning("lost")
    logging.getLogger("fitwell.worker").info("and on")
    first, second = text().splitlines()
    assert first.endswith("fitwell.worker WARNING lost [request_id=req_1 run_ids=['run_1', 'run_2']]")
    assert second.endswith("fitwell.worker INFO and on")
