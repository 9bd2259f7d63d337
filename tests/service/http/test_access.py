from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from service.http.routing import Route
from tests.conftest import MigratedHome
from tests.service.http.worlds import MARK, OPEN, World, filled, guarded, opened


@pytest.mark.slow
def test_only_health_checks_work_without_a_token(world: World) -> None:
    things = world.furnish(world.alice, MARK)
    answers = {path: world.call(method, filled(path, things), op, {}) for method, path, op in world.operations()}
    answers |= {path: world.client.get(path) for path in ("/openapi.json", "/nowhere", "/", "/v1")}
    for path, answer in answers.items():
        if path in OPEN:
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        else:
            assert (answer.status_code, answer.json()["code"]) == (401, "token_required"), path
            assert answer.headers["www-authenticate"] == 'Bearer realm="fitwell"'
            assert answer.headers["content-type"] == "application/problem+json"
    assert {path for path, answer in answers.items() if answer.status_code == 200} == OPEN


@pytest.mark.slow
def test_each_operation_requires_its_documented_scope(world: World) -> None:
    headers = {scope: world.token("carol", scope) for scope in ("read", "write", "admin")}
    received = set[str]()
    for method, path, operation in world.operations():
        if path in OPEN:
            assert operation["security"] == []
            continue
        ((needed,),) = (scheme["token"] for scheme in operation["security"])
        received.add(needed)
        nowhere = path.format_map(defaultdict(lambda: "none"))
        for scope in ("read", "write", "admin"):
            answer = world.call(method, nowhere, operation, headers[scope])
            refused = answer.status_code == 403 and answer.json()["code"] == "scope_missing"
            assert refused == (["read", "write", "admin"].index(scope) < ["read", "write", "admin"].index(needed)), path
            if refused:
                assert f"needs the scope '{needed}'" in answer.json()["detail"]
                assert f'scope="{needed}"' in answer.headers["www-authenticate"]
    assert received == {"read", "write", "admin"}


def test_scope_is_checked_before_the_parameters_and_the_body(world: World) -> None:
    reader = world.token("eve", "read")
    answer = world.client.post("/v1/runs?nonsense=1", content=b"{" * 100_000, headers=reader)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_every_route_except_static_files_is_of_the_class_that_checks_parameters_and_bodies(shared: World) -> None:
    routes = [one.original_route for one in iter_route_contexts(shared.app.routes)]
    plain = {one.path for one in routes if isinstance(one, APIRoute) and type(one) is not Route}
    assert plain == {"/static/{version}/{path:path}"}


@pytest.mark.parametrize("path", ["/v1/runs/", "/v1/runs/run_x/", "/v1/studies/", "/studies/", "/runs/", "/docs/"])
def test_trailing_slash_is_404_and_never_redirects_to_a_forged_host(world: World, path: str) -> None:
    headers = {**world.admin, "host": "evil.example"}
    answer = world.client.get(path, headers=headers, follow_redirects=False)
    assert (answer.status_code, answer.headers.get("location")) == (404, None)
    assert "evil" not in answer.text
    assert path.rstrip("/") in answer.text


def test_every_operation_documents_the_errors_of_authentication(shared: World) -> None:
    assert shared.document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for _, path, operation in shared.operations():
        messages = operation["responses"].keys() & {"401", "403", "429"}
        assert messages == ({"403"} if path in OPEN else {"401", "403", "429"})
        for status in messages:
            assert "application/problem+json" in operation["responses"][status]["content"]


SECRET = "fw_" + "A" * 43


MALFORMED: list[list[tuple[str, str]]] = [
    [("authorization", value)]
    for value in (
        "", " ", "Bearer", "Bearer ", "bearer fw_", "Basic YTpi", SECRET, f"Token {SECRET}", f"Bearer {SECRET}",
        f"Bearer  {SECRET} x", f"Bearer {SECRET},{SECRET}", f'Bearer "{SECRET}"', f"Bearer {SECRET}\u00e9",
        "Bearer " + "A" * 100_000, f"Bearer {'fw_' * 2000}", "Bearer ../../etc/passwd", "Bearer %00", "Bearer null",
    )
]  # fmt: skip


@pytest.mark.parametrize("headers", MALFORMED, ids=lambda headers: ascii(headers[0][1][:30]))
def test_malformed_token_is_refused_and_never_a_500(shared: World, headers: list[tuple[str, str]]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    answer = shared.client.get("/v1/runs", headers=raw)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_refused")
    assert answer.headers["www-authenticate"] == 'Bearer realm="fitwell", error="invalid_token"'


def test_two_tokens_in_one_request_are_refused(shared: World) -> None:
    both = [("authorization", shared.alice["authorization"]), ("authorization", shared.bob["authorization"])]
    assert shared.client.get("/v1/runs", headers=both).status_code == 401


def test_case_of_the_scheme_is_ignored_and_that_of_the_secret_is_not(shared: World) -> None:
    secret = shared.alice["authorization"].removeprefix("Bearer ")
    for scheme in ("bearer", "BEARER", "Bearer ", "bEaReR"):
        assert shared.client.get("/v1/runs", headers={"authorization": f"{scheme} {secret}"}).status_code == 200
    assert shared.client.get("/v1/runs", headers={"authorization": f"Bearer {secret.swapcase()}"}).status_code == 401


@pytest.mark.parametrize("name", ["token", "access_token", "authorization", "api_key"])
def test_token_in_the_url_is_ignored(shared: World, name: str) -> None:
    secret = shared.alice["authorization"].removeprefix("Bearer ")
    assert shared.client.get("/v1/runs", params={name: secret}).status_code == 401
    assert shared.client.get("/v1/runs", params={name: secret}, headers=shared.alice).status_code == 422
    assert shared.client.get("/v1/runs", headers={"cookie": f"{name}={secret}"}).status_code == 401


def test_token_is_created_used_listed_and_revoked(world: World) -> None:
    expires = datetime.now(UTC) + timedelta(days=1)
    requests = {"name": "CI", "owner": "dora", "scopes": ["write", "read"], "expires_at": expires.isoformat()}
    created = world.client.post("/v1/tokens", json=requests, headers=world.admin)
    token = created.json()
    assert (created.status_code, created.headers["cache-control"]) == (201, "no-store")
    assert created.headers["location"] == f"/v1/tokens/{token['id']}"
    assert (token["object"], token["scopes"], token["revoked_at"]) == ("token", ["read", "write"], None)
    secret = token.pop("token")
    assert secret.startswith(token["prefix"])
    dora = {"authorization": f"Bearer {secret}"}
    me = world.client.get("/v1/tokens/me", headers=dora).json()
    assert (me["owner"], me["scopes"], me["token"]["id"]) == ("dora", ["read", "write"], token["id"])
    view = world.client.get(f"/v1/tokens/{token['id']}", headers=dora).json()
    assert {**view, "last_used_at": None} == token
    assert [one["id"] for one in world.client.get("/v1/tokens", headers=dora).json()["data"]] == [token["id"]]
    everyones = world.client.get("/v1/tokens", headers=world.admin)
    assert [one["owner"] for one in everyones.json()["data"]] == ["dora", "bob", "alice", "root"]
    assert secret not in everyones.text
    assert world.client.delete(f"/v1/tokens/{token['id']}", headers=world.bob).status_code == 404
    assert world.client.delete(f"/v1/tokens/{token['id']}", headers=dora).status_code == 204
    again = world.client.get("/v1/runs", headers=dora)
    assert (again.status_code, "was revoked" in again.json()["detail"]) == (401, True)
    assert world.client.get(f"/v1/tokens/{token['id']}", headers=world.admin).json()["revoked_at"] is not None


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"owner": ""}, "/owner"),
        ({"owner": "a b"}, "/owner"),
        ({"owner": "é"}, "/owner"),
        ({"owner": "alice\n"}, "/owner"),
        ({"owner": "../x"}, "/owner"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"scopes": "admin"}, "/scopes"),
        ({"max_active_runs": 0}, "/max_active_runs"),
        ({"max_active_runs": True}, "/max_active_runs"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2100-01-01T00:00:00"}, "/expires_at"),
        ({"expires_at": "tomorrow"}, "/expires_at"),
        ({"expires_at": 4e9}, "/expires_at"),
        ({"token": SECRET}, "/token"),
    ],
)
def test_invalid_token_body_is_refused_with_its_pointer(shared: World, changes: dict[str, Any], pointer: str) -> None:
    requests = {"name": "x", "owner": "x", "scopes": ["read"], **changes}
    answer = shared.client.post("/v1/tokens", json=requests, headers=shared.admin)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_invalid_tokens_are_throttled_and_valid_ones_are_not(tmp_path: Path, migrated_home: MigratedHome) -> None:
    for world in opened(guarded(migrated_home(tmp_path), failed_auth_per_minute=3)):
        wrong = {"authorization": f"Bearer {SECRET}"}
        answers = [world.client.get("/v1/runs", headers=wrong) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert answers[-1].json()["code"] == "too_many_attempts"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
        assert world.client.get("/v1/runs", headers=world.alice).status_code == 200
        assert world.client.get("/v1/runs").status_code == 401
        spoofed = {**wrong, "x-forwarded-for": "203.0.113.9"}
        assert world.client.get("/v1/runs", headers=spoofed).status_code == 429


def test_token_is_limited_to_its_rate(tmp_path: Path, migrated_home: MigratedHome) -> None:
    for world in opened(guarded(migrated_home(tmp_path), requests_per_minute=4)):
        answers = [world.client.get("/v1/runs", headers=world.alice) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
        assert answers[-1].json()["code"] == "too_many_requests"
        assert "FITWELL_REQUESTS_PER_MINUTE" in answers[-1].json()["detail"]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 15
        assert world.client.get("/v1/runs", headers=world.bob).status_code == 200, "another token has its own"
        assert world.client.get("/healthz", headers=world.alice).status_code == 200
