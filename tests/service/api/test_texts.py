"""Texts that one database takes and another does not."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.conftest import body


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "é😀", "'; DROP TABLE run; --", "%", "\u202e"])
def test_any_text_is_stored_as_it_is_or_refused_and_never_a_bug(text: str, settings: Settings) -> None:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        answer = client.post("/v1/runs", json=body(name=text, labels={"k": text}))
        if answer.status_code == 201:
            assert answer.json()["name"] == text
            found = client.get("/v1/runs", params={"name": text, "label": f"k={text}"}).json()["data"]
            assert [run["id"] for run in found] == [answer.json()["id"]]
        else:
            assert (answer.status_code, "\x00" in text) == (422, True)
            assert client.get("/v1/runs").json()["data"] == []
        for path in (f"/v1/runs?name={text}", "/v1/runs/run_%00", "/v1/runs?label=a%3D%00"):
            assert client.get(path.replace("\x00", "%00")).status_code < 500
