"""Texts that one database can store and another cannot."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.http.names import NO_CONTROLS
from service.settings import Settings
from tests.conftest import body


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b", "é😀", "'; DROP TABLE run; --", "%", "\u202e", 'a"b', "a\\", "\\u0061", "$[0].x"]
)
def test_any_text_is_stored_unchanged_or_refused(text: str, settings: Settings) -> None:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        answer = client.post("/v1/runs", json=body(name=text, labels={"k": text, text: "v"}))
        if answer.status_code == 201:
            assert answer.json()["name"] == text
            result = client.get("/v1/runs", params={"name": text, "label": f"k={text}"}).json()["data"]
            assert [run["id"] for run in result] == [answer.json()["id"]]
            assert client.get("/v1/runs", params={"label": f"{text}=v"}).json()["data"] == result
            assert client.get("/v1/runs", params={"sort": f"last.{text}"}).status_code == 422
        else:
            assert (answer.status_code, "\x00" in text) == (422, True)
            assert client.get("/v1/runs").json()["data"] == []
        for path in (f"/v1/runs?name={text}", "/v1/runs/run_%00", "/v1/runs?label=a%3D%00"):
            assert client.get(path.replace("\x00", "%00")).status_code < 500


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "\x1b[31m", "\x7f", "\x9b31m"], ids=ascii)
def test_names_with_control_characters_are_refused_everywhere(text: str, client: TestClient) -> None:
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    hook = {"url": "https://192.0.2.1/"}
    for method, path, expected, pointer in (
        ("POST", "/v1/runs", body(name=text), "/name"),
        ("POST", "/v1/runs", body(labels={"k": text}), "/labels/k"),
        ("POST", "/v1/runs", body(labels={text: "v"}), f"/labels/{text}/[key]"),
        ("PATCH", f"/v1/runs/{run_id}", {"name": text}, "/name"),
        ("POST", f"/v1/runs/{run_id}/clone", {"name": text}, "/name"),
        ("POST", "/v1/studies", {"base": body(), "name": text}, "/name"),
        ("POST", "/v1/studies", {"base": body(), "arms": {text: {}}}, f"/arms/{text}/[key]"),
        ("POST", "/v1/webhook_endpoints", {**hook, "description": text}, "/description"),
        ("POST", "/v1/tokens", {"name": text, "owner": "x", "scopes": ["admin"]}, "/name"),
    ):
        answer = client.request(method, path, json=expected)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
        assert answer.json()["errors"][0]["message"].startswith(NO_CONTROLS)
    table = client.post("/v1/datasets", params={"name": text}, content="x,y\n", headers={"content-type": "text/csv"})
    assert (table.status_code, table.json()["detail"]) == (422, f"name: {NO_CONTROLS}")
