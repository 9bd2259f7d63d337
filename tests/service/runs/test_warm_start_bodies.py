"""Bodies with warm starts from specs over HTTP: errors have exact pointers, and pages link the source."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import body

OTHER = body(epochs=5)
HEADERS = {"content-type": "application/json"}


@pytest.mark.parametrize("generations", [9, 60, 2000])
def test_too_deep_chain_of_sources_is_refused(client: TestClient, generations: int) -> None:
    before, after = json.dumps(body(warm_start={"spec": "@"})).split('"@"')
    chain = before * generations + json.dumps(body()) + after * generations
    answer = client.post("/v1/runs", content=chain, headers=HEADERS)
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize(
    ("start", "pointer", "message"),
    [
        ({}, "", "A warm start needs either run_id or spec."),
        ({"run_id": f"run_{'0' * 26}", "spec": body()}, "", "either run_id or spec"),
        ({"spec": body(), "sha256": "a" * 64}, "", "not a spec"),
        ({"spec": body(), "wait": True}, "", "wait needs a run_id"),
        ({"run_id": f"run_{'0' * 26}", "paired": True}, "", "paired needs a spec"),
        ({"spec": body(epochs=0)}, "/spec/epochs", "greater than or equal to 1"),
        ({"spec": body(warm_start={"spec": body(modle={})})}, "/spec/warm_start/spec/modle", "'model'"),
        ({"spec": "overfit"}, "/spec", "object"),
        ({"spec": body(), "paired": "yes"}, "/paired", "a boolean"),
    ],
)
def test_invalid_source_is_reported_once_with_its_pointer(
    client: TestClient, start: dict[str, Any], pointer: str, message: str
) -> None:
    answer = client.post("/v1/runs", json=body(warm_start=start))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == f"/warm_start{pointer}"
    assert message in error["message"]


def test_page_of_a_waiting_run_links_its_source(client: TestClient) -> None:
    run = client.post("/v1/runs", json=body(warm_start={"spec": OTHER})).json()
    page = client.get(f"/runs/{run['id']}", headers={"accept": "text/html"})
    source = run["spec"]["warm_start"]["run_id"]
    assert page.status_code == 200
    assert "Starts from" in page.text
    assert f'href="/runs/{source}"' in page.text
