"""Checks before authentication: host names, pages of other sites, and proxies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.http.throttle import MAX_CLIENTS, Throttle
from service.settings import Settings, SettingsError, exposed
from tests.conftest import BODY, MigratedHome


@pytest.fixture
def client(tmp_path: Path, migrated_home: MigratedHome) -> Iterator[TestClient]:
    """A server without tokens on loopback."""
    settings = Settings(data_dir=migrated_home(tmp_path), allowed_hosts=("fit.example.org",))
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as one:
        yield one


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, migrated_home: MigratedHome) -> Iterator[TestClient]:
    """A server for tests that change nothing."""
    home = migrated_home(tmp_path_factory.mktemp("shared"))
    settings = Settings(data_dir=home, allowed_hosts=("fit.example.org",))
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as one:
        yield one


OURS = ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:9", "[::1]", "[::1]:8000", "fit.example.org"]
THEIRS = [
    "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "localhost.", "", "[::2]",
    "[::1].evil.example", "127.0.0.2", "0.0.0.0", "2130706433", "localhost@evil.example", "evil.example#localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", OURS)
def test_server_without_tokens_accepts_its_own_names(shared: TestClient, host: str) -> None:
    assert shared.get("/v1/runs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", THEIRS)
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/runs"), ("POST", "/v1/runs"), ("GET", "/openapi.json")])
def test_foreign_name_that_resolves_to_this_server_is_refused(
    shared: TestClient, method: str, path: str, host: str
) -> None:
    answer = shared.request(method, path, headers={"host": host, "origin": f"http://{host}"}, json=BODY)
    assert answer.status_code == 403
    without = shared.request(method, path, headers={"host": host}, json=BODY)
    assert (without.status_code, without.json()["code"]) == (403, "host_refused")
    assert shared.get("/v1/runs").json()["data"] == []


def test_two_host_headers_are_refused(shared: TestClient) -> None:
    both = [("host", "localhost"), ("host", "evil.example")]
    assert shared.get("/v1/runs", headers=both).status_code == 403


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/", "/nowhere", "/healthz", "/"])
def test_bytes_that_are_not_ascii_are_refused_in_a_url_and_never_a_500(
    shared: TestClient, method: str, path: str
) -> None:
    """Raw bytes, as a socket can send them; clients encode them as %C3%A9."""
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"name=\xe9"}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    host = {"scheme": "http", "server": ("127.0.0.1", 8000), "headers": [(b"host", b"127.0.0.1:8000")]}

    async def call() -> None:
        await shared.app(scope | host, receive, send)

    asyncio.run(call())
    assert sent[0]["status"] == 400
    assert b"not ASCII" in sent[1]["body"]


FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:3000"},
    {"origin": "http://localhost:8000"},
    {"origin": "http://127.0.0.1:8000.evil.example"},
    {"origin": "http://["},
    {"origin": ""},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    {"sec-fetch-site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_pages_of_other_sites_are_refused(shared: TestClient, method: str, headers: dict[str, str]) -> None:
    answer = shared.request(method, "/v1/runs", headers=headers, json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert shared.get("/v1/runs").json()["data"] == []


def test_form_of_another_site_cannot_post_even_as_a_navigation(shared: TestClient) -> None:
    page = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert shared.post("/v1/runs", headers=page, json=BODY).status_code == 403
    assert shared.get("/v1/catalog", headers=page).status_code == 200, "a link from elsewhere may be followed"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "https://fit.example.org"},
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
    ],
    ids=str,
)
def test_own_pages_and_programs_are_served_and_get_no_cors_headers(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/v1/runs", headers=headers, json=BODY)
    assert answer.status_code == 201
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "203.0.113.9"},
        {"x-forwarded-host": "fit.example.org"},
        {"x-forwarded-proto": "https"},
        {"forwarded": "for=127.0.0.1"},
        {"via": "1.1 proxy"},
        {"x-real-ip": "127.0.0.1"},
    ],
    ids=str,
)
def test_forwarded_request_needs_a_token_even_if_direct_ones_do_not(
    client: TestClient, headers: dict[str, str]
) -> None:
    answer = client.get("/v1/runs", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_required")
    assert "through a proxy" in answer.json()["detail"]
    requests = {"name": "x", "owner": "x", "scopes": ["admin"]}
    secret = client.post("/v1/tokens", json=requests).json()["token"]
    token = {"authorization": f"Bearer {secret}", "host": "anything.example"}
    assert client.get("/v1/runs", headers={**headers, **token}).status_code == 200


def test_first_token_makes_tokens_required_on_loopback_and_names_free(client: TestClient) -> None:
    assert client.get("/v1/tokens/me").json() == {
        "object": "caller", "owner": "local", "scopes": ["read", "write", "admin"], "token": None,
    }  # fmt: skip
    refused = client.post("/v1/tokens", json={"name": "x", "owner": "x", "scopes": ["read"]})
    assert refused.json()["errors"][0]["code"] == "first_admin"
    assert client.get("/v1/runs").status_code == 200
    created = client.post("/v1/tokens", json={"name": "x", "owner": "x", "scopes": ["admin"]}).json()
    assert client.get("/v1/runs").status_code == 401
    headers = {"authorization": f"Bearer {created['token']}", "host": "anything.example"}
    assert client.get("/v1/runs", headers=headers).status_code == 200
    assert client.delete(f"/v1/tokens/{created['id']}", headers=headers).status_code == 204
    assert client.get("/v1/runs").status_code == 401, "the last revoked token must not open the server"


def test_auth_off_serves_loopback_and_is_refused_on_other_addresses(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.8.9.1"):
        assert not exposed(Settings(data_dir=tmp_path, host=host, auth="off"))
    for host in ("0.0.0.0", "::", "192.0.2.1", "no-such-name.invalid", "::ffff:192.0.2.1", ""):
        assert exposed(Settings(data_dir=tmp_path, host=host))
        with pytest.raises(SettingsError, match="FITWELL_AUTH"):
            create_app(Settings(data_dir=tmp_path, host=host, auth="off"))
    with pytest.raises(SettingsError):
        create_app(Settings(data_dir=tmp_path, auth="off"), address="192.0.2.1")


def test_throttled_address_recovers_with_time() -> None:
    now = 0.0
    throttle = Throttle(6, clock=lambda: now)
    assert [throttle.use("192.0.2.1") > 0 for _ in range(8)] == [False] * 6 + [True] * 2
    assert throttle.use("192.0.2.1") == pytest.approx(10)
    assert throttle.use("192.0.2.2") == 0
    now = 10.1
    assert throttle.use("192.0.2.1") == 0
    assert throttle.use("192.0.2.1") > 9
    now = 1e6
    assert [throttle.use("192.0.2.1") > 0 for _ in range(7)] == [False] * 6 + [True]


def test_ipv6_network_counts_as_one_client_and_memory_is_bounded() -> None:
    throttle = Throttle(2, clock=lambda: 0.0)
    assert [throttle.use(f"2001:db8::{i:x}") > 0 for i in range(1, 4)] == [False, False, True]
    assert throttle.use("2001:db8:0:1::1") == 0
    for i in range(MAX_CLIENTS + 5):
        throttle.use(f"10.{i // 65536}.{i // 256 % 256}.{i % 256}")
    assert len(throttle._buckets) == MAX_CLIENTS
