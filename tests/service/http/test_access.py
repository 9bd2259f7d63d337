"""Tokens, scopes and owners over HTTP. Operations are walked as OpenAPI lists them, so that new ones are covered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.database import open_engine
from service.tokens.service import Tokens
from service.tokens.token import NewToken
from service.web.pages import reports
from service.web.pages import runs as pages
from service.web.pages import studies as study_pages
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, body, measured
from worker.ports import Checkpoint, Outcome, WeightsFile

OPEN = {"/healthz", "/readyz"}
MARK = "alices-secret"
PUBLIC = {"name": "overfit_classifier"}
"""Path parameters that name what belongs to nobody."""


class World:
    """A server that needs tokens, its callers' headers, and what alice has there."""

    def __init__(self, app: FastAPI, client: TestClient) -> None:
        self.app, self.client = app, client
        self.admin = self.token("root", "admin")
        self.alice, self.bob = self.token("alice", "write"), self.token("bob", "write")

    @cached_property
    def document(self) -> dict[str, Any]:
        """What the server says of itself."""
        document: dict[str, Any] = self.client.get("/openapi.json", headers=self.bob).json()
        return document

    def token(self, owner: str, scope: Any, **more: Any) -> dict[str, str]:
        """The headers of a new token."""
        _, secret = self.app.state.services[Tokens].create(NewToken(name="test", owner=owner, scopes=[scope], **more))
        return {"authorization": f"Bearer {secret}"}

    def furnish(self, headers: dict[str, str], mark: str) -> dict[str, str]:
        """One of everything that has an owner, as values of path parameters."""
        labelled = body(name=mark, labels={"k": mark}, seed=len(mark))
        run = self.client.post("/v1/runs", json=labelled, headers=headers).json()
        engine = open_engine(self.app.state.settings)
        work = Jobs(engine, self.app.state.settings)
        (claim,) = work.claim(WORKER, limit=1)
        work.record([claim], [measured(run["id"], 1, train_loss=1, val_loss=2)])
        reports: dict[str, Any] = {"confusion": [[1] * 10] * 10, "weights": []}
        work.finish([claim], [Outcome(run_id=run["id"], status="succeeded", reports=reports)])
        engine.dispose()
        base = body(regularizers=[{"kind": "l2", "strength": 1e-4 * len(mark)}])
        study = self.client.post("/v1/studies", json={"base": base, "name": mark}, headers=headers).json()
        me = self.client.get("/v1/tokens/me", headers=headers).json()
        hook = {"url": f"http://127.0.0.1:9/{mark}", "events": ["run.cancelled"]}
        endpoint = self.client.post("/v1/webhook_endpoints", json=hook, headers=headers).json()
        things = {"run_id": run["id"], "study_id": study["id"], "token_id": me["token"]["id"]}
        table = "x,y\n" + "".join(f"{i + len(mark)},{'ab'[i % 2]}\n" for i in range(20))
        csv = {**headers, "content-type": "text/csv"}
        dataset = self.client.post("/v1/datasets", params={"name": mark}, content=table, headers=csv).json()
        return things | {"endpoint_id": endpoint["id"], "delivery_id": "msg_none", "dataset_id": dataset["id"]}

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                yield method.upper(), path, operation

    def call(self, method: str, path: str, operation: dict[str, Any], headers: Any, **options: Any) -> Any:
        """Call an operation with the example of its body's schema."""
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if media_type.endswith("json"):
                name = content["schema"]["$ref"].rpartition("/")[2]
                options.setdefault("json", self.document["components"]["schemas"][name]["examples"][0])
            else:
                options.setdefault("content", b"")
                headers = {**headers, "content-type": media_type}
            break
        return self.client.request(method, path, headers=headers, **options)


def guarded(home: Path, **more: Any) -> Settings:
    """Settings of a server that needs tokens."""
    return Settings(data_dir=home, auth="required", webhook_allow_private=True, **more)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from opened(guarded(tmp_path))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For tests that only look."""
    yield from opened(
        Settings(
            data_dir=tmp_path_factory.mktemp("shared"),
            auth="required",
            webhook_allow_private=True,
            failed_auth_per_minute=1000,
        )
    )


@pytest.fixture
def private(tmp_path: Path) -> Iterator[World]:
    yield from opened(guarded(tmp_path, share_runs=False))


def opened(settings: Settings) -> Iterator[World]:
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield World(app, client)


def filled(path: str, things: dict[str, str]) -> str:
    """The path with its parameters; a new kind of thing needs a line in ``World.furnish``."""
    return path.format(**PUBLIC, **things)


def owned(path: str) -> bool:
    return "{" in path and not any(f"{{{name}}}" in path for name in PUBLIC)


def test_without_a_token_nothing_is_answered_but_whether_the_service_lives(world: World) -> None:
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
def test_each_operation_needs_the_scope_that_its_description_says(world: World) -> None:
    headers = {scope: world.token("carol", scope) for scope in ("read", "write", "admin")}
    seen = set[str]()
    for method, path, operation in world.operations():
        if path in OPEN:
            assert operation["security"] == []
            continue
        ((needed,),) = (scheme["token"] for scheme in operation["security"])
        seen.add(needed)
        nowhere = path.format_map(defaultdict(lambda: "none"))
        for scope in ("read", "write", "admin"):
            answer = world.call(method, nowhere, operation, headers[scope])
            refused = answer.status_code == 403 and answer.json()["code"] == "scope_missing"
            assert refused == (["read", "write", "admin"].index(scope) < ["read", "write", "admin"].index(needed)), path
            if refused:
                assert f"needs the scope '{needed}'" in answer.json()["detail"]
                assert f'scope="{needed}"' in answer.headers["www-authenticate"]
    assert seen == {"read", "write", "admin"}


def test_every_operation_tells_of_the_refusals_for_want_of_a_token(shared: World) -> None:
    assert shared.document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for _, path, operation in shared.operations():
        told = operation["responses"].keys() & {"401", "403", "429"}
        assert told == ({"403"} if path in OPEN else {"401", "403", "429"})
        for status in told:
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
def test_what_is_no_token_is_refused_and_never_a_bug(shared: World, headers: list[tuple[str, str]]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    answer = shared.client.get("/v1/runs", headers=raw)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_refused")
    assert answer.headers["www-authenticate"] == 'Bearer realm="fitwell", error="invalid_token"'


def test_two_tokens_at_once_are_none(shared: World) -> None:
    both = [("authorization", shared.alice["authorization"]), ("authorization", shared.bob["authorization"])]
    assert shared.client.get("/v1/runs", headers=both).status_code == 401


def test_the_schemes_case_does_not_matter_and_the_secrets_does(shared: World) -> None:
    secret = shared.alice["authorization"].removeprefix("Bearer ")
    for scheme in ("bearer", "BEARER", "Bearer ", "bEaReR"):
        assert shared.client.get("/v1/runs", headers={"authorization": f"{scheme} {secret}"}).status_code == 200
    assert shared.client.get("/v1/runs", headers={"authorization": f"Bearer {secret.swapcase()}"}).status_code == 401


@pytest.mark.parametrize("name", ["token", "access_token", "authorization", "api_key"])
def test_a_token_in_the_address_is_not_taken(shared: World, name: str) -> None:
    secret = shared.alice["authorization"].removeprefix("Bearer ")
    assert shared.client.get("/v1/runs", params={name: secret}).status_code == 401
    assert shared.client.get("/v1/runs", params={name: secret}, headers=shared.alice).status_code == 422
    assert shared.client.get("/v1/runs", headers={"cookie": f"{name}={secret}"}).status_code == 401


def test_a_token_is_made_used_seen_and_revoked(world: World) -> None:
    expires = datetime.now(UTC) + timedelta(days=1)
    asked = {"name": "CI", "owner": "dora", "scopes": ["write", "read"], "expires_at": expires.isoformat()}
    made = world.client.post("/v1/tokens", json=asked, headers=world.admin)
    token = made.json()
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    assert made.headers["location"] == f"/v1/tokens/{token['id']}"
    assert (token["object"], token["scopes"], token["revoked_at"]) == ("token", ["read", "write"], None)
    secret = token.pop("token")
    assert secret.startswith(token["prefix"])
    dora = {"authorization": f"Bearer {secret}"}
    me = world.client.get("/v1/tokens/me", headers=dora).json()
    assert (me["owner"], me["scopes"], me["token"]["id"]) == ("dora", ["read", "write"], token["id"])
    shown = world.client.get(f"/v1/tokens/{token['id']}", headers=dora).json()
    assert {**shown, "last_used_at": None} == token
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
def test_a_wrong_token_body_is_refused_at_its_place(shared: World, changes: dict[str, Any], pointer: str) -> None:
    asked = {"name": "x", "owner": "x", "scopes": ["read"], **changes}
    answer = shared.client.post("/v1/tokens", json=asked, headers=shared.admin)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_wrong_tokens_are_answered_slower_and_right_ones_never(tmp_path: Path) -> None:
    for world in opened(guarded(tmp_path, failed_auth_per_minute=3)):
        wrong = {"authorization": f"Bearer {SECRET}"}
        answers = [world.client.get("/v1/runs", headers=wrong) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert answers[-1].json()["code"] == "too_many_attempts"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
        assert world.client.get("/v1/runs", headers=world.alice).status_code == 200
        assert world.client.get("/v1/runs").status_code == 401
        spoofed = {**wrong, "x-forwarded-for": "203.0.113.9"}
        assert world.client.get("/v1/runs", headers=spoofed).status_code == 429


def test_a_token_has_so_many_requests_a_minute_where_that_is_set(tmp_path: Path) -> None:
    for world in opened(guarded(tmp_path, requests_per_minute=4)):
        answers = [world.client.get("/v1/runs", headers=world.alice) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
        assert answers[-1].json()["code"] == "too_many_requests"
        assert "FITWELL_REQUESTS_PER_MINUTE" in answers[-1].json()["detail"]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 15
        assert world.client.get("/v1/runs", headers=world.bob).status_code == 200, "another token has its own"
        assert world.client.get("/healthz", headers=world.alice).status_code == 200


def test_what_is_made_belongs_to_whoever_made_it(world: World) -> None:
    things = world.furnish(world.alice, MARK)
    run = world.client.get(f"/v1/runs/{things['run_id']}", headers=world.bob).json()
    study = world.client.get(f"/v1/studies/{things['study_id']}", headers=world.bob).json()
    assert run["owner"] == study["owner"] == "alice"
    mine = world.client.post(f"/v1/runs/{run['id']}/clone", json={"patch": {"seed": 77}}, headers=world.bob)
    assert (mine.status_code, mine.json()["owner"]) == (201, "bob")
    listed = world.client.get("/v1/runs", params={"filter": 'owner = "bob"'}, headers=world.alice).json()
    assert [one["id"] for one in listed["data"]] == [mine.json()["id"]]
    more = world.client.post(f"/v1/studies/{study['id']}/seeds", json={"add": 1}, headers=world.admin)
    assert more.status_code == 202
    again = world.client.post(f"/v1/runs/{run['id']}/verify", headers=world.admin).json()["by"]
    assert world.client.get(f"/v1/runs/{again}", headers=world.bob).json()["owner"] == "alice"
    found = {"study_id": study["id"], "limit": 100}
    runs = world.client.get("/v1/runs", params=found, headers=world.admin).json()["data"]
    assert {one["owner"] for one in runs} == {"alice"}, "what an admin adds to a study belongs to the study's owner"
    assert len(runs) == 2


def test_teachers_of_what_an_admin_adds_to_a_study_belong_to_its_owner(world: World) -> None:
    taught = body(regularizers=[{"kind": "distillation", "teachers": [{"spec": body(seed=9)}]}])
    study = world.client.post("/v1/studies", json={"base": taught}, headers=world.alice).json()
    (teacher,) = world.client.get("/v1/runs?filter=study_id = null", headers=world.alice).json()["data"]
    world.client.post(f"/v1/runs/{teacher['id']}/cancel", headers=world.alice)
    more = world.client.post(f"/v1/studies/{study['id']}/seeds", json={"add": 1}, headers=world.admin)
    assert more.status_code == 202
    runs = world.client.get("/v1/runs", headers=world.admin).json()["data"]
    assert [run["owner"] for run in runs] == ["alice"] * 4


def test_every_answer_is_for_whoever_asked_and_is_what_it_says(world: World) -> None:
    things = world.furnish(world.alice, MARK)
    for method, path, operation in world.operations():
        if method == "GET":
            for headers in (world.alice, {}):
                answer = world.call(method, filled(path, things), operation, headers)
                assert answer.headers["x-content-type-options"] == "nosniff", path
                assert answer.headers["cache-control"] in ("private, no-cache", "no-store", "no-cache"), path


@pytest.mark.slow
def test_nobody_but_owner_and_admin_changes_a_thing(world: World) -> None:
    things = world.furnish(world.alice, MARK)
    queued = world.client.post("/v1/runs", json=body(seed=5), headers=world.alice).json()
    refused = 0
    for run_id in (things["run_id"], queued["id"]):
        before = state(world, {**things, "run_id": run_id})
        for method, path, operation in world.operations():
            if method == "GET" or not owned(path):
                continue
            answer = world.call(method, filled(path, {**things, "run_id": run_id}), operation, world.bob)
            code = answer.json()["code"] if answer.status_code >= 400 else ""
            refused += (answer.status_code, code) == (403, "not_owner")
            assert state(world, {**things, "run_id": run_id}) == before, f"{method} {path} changed what is alice's"
            assert code or answer.json()["owner"] == "bob", f"{method} {path} did something in alice's name"
    assert refused >= 2 * 9
    assert world.client.post(f"/v1/runs/{queued['id']}/cancel", headers=world.alice).status_code == 202
    assert world.client.delete(f"/v1/runs/{queued['id']}", headers=world.admin).status_code == 204


def state(world: World, things: dict[str, str]) -> list[Any]:
    """All that can be read of what is alice's."""
    paths = [path for method, path, _ in world.operations() if method == "GET" and owned(path)]
    answers = [world.client.get(filled(path, things), headers=world.alice) for path in paths]
    shown = [answer.json() if answer.headers["content-type"].endswith("json") else answer.content for answer in answers]
    changing = {"last_used_at": None, "request_id": None}
    return [{**one, **changing} if isinstance(one, dict) else one for one in shown]


@pytest.mark.slow
def test_where_runs_are_not_shared_no_operation_tells_of_anothers(private: World) -> None:
    things, mine = private.furnish(private.alice, MARK), private.furnish(private.bob, "bobs")
    for method, path, operation in private.operations():
        if path in OPEN:
            continue
        named = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query" and "schema" in one]
        asked = [{}, *({name: things[kind]} for name in named for kind in things if kind[:-3] in name or name in IDS)]
        for params in asked:
            answer = private.call(
                method, filled(path, mine if params else things), operation, private.bob, params=params
            )
            assert answer.status_code < 500
            assert MARK not in answer.text, f"{method} {path} {params} tells what is alice's"
            if owned(path) and not params:
                assert answer.status_code == 404 or answer.json()["code"] == "scope_missing", f"{method} {path}"
            elif not params:
                assert not [one for one in things.values() if one in answer.text], f"{method} {path}"
            elif answer.status_code == 200:
                assert not answer.json()["data"], f"{method} {path} {params}"
    stream = {"accept": "text/event-stream", **private.bob}
    assert private.client.get(f"/v1/runs/{things['run_id']}/events", headers=stream).status_code == 404


def finished(world: World, headers: dict[str, str], **changes: Any) -> str:
    """A run that was trained for an epoch and left its weights; its id."""
    run = world.client.post("/v1/runs", json=body(epochs=1, **changes), headers=headers).json()
    engine = open_engine(world.app.state.settings)
    work = Jobs(engine, world.app.state.settings)
    (claim,) = work.claim(WORKER, limit=1)
    work.record([claim], [measured(run["id"], 1)])
    saved = Checkpoint(epoch=1, path="c", sha256="c" * 64, bytes=1, digest="d")
    kept = WeightsFile(at="last", epoch=1, path="w", sha256="a" * 64, bytes=1)
    work.checkpointed([claim], {run["id"]: saved}, {run["id"]: [kept]})
    work.finish([claim], [Outcome(run_id=run["id"], status="succeeded")])
    engine.dispose()
    return str(run["id"])


@pytest.mark.parametrize("way", ["warm start", "teacher"])
@pytest.mark.parametrize(("digest", "code"), [({}, "run_not_found"), ({"sha256": "a" * 64}, "no_weights")])
def test_whoever_knows_the_id_or_digest_of_anothers_weights_does_not_have_them(
    private: World, way: str, digest: dict[str, str], code: str
) -> None:
    named = {"run_id": finished(private, private.alice), **digest}
    taught = {"regularizers": [{"kind": "distillation", "teachers": [named]}]}
    wanted = body(seed=2, **({"warm_start": named} if way == "warm start" else taught))
    answers = [private.client.post("/v1/runs", json=wanted, headers=who) for who in (private.bob, private.alice)]
    assert [answer.status_code for answer in answers] == [422, 201]
    assert answers[0].json()["errors"][0]["code"] == code
    mine = answers[1].json()["id"]
    again = private.client.post(f"/v1/runs/{mine}/clone", json={"patch": {"seed": 3}}, headers=private.alice)
    assert again.status_code == 201


IDS = ("ids", "reference")
"""Query parameters that take ids of runs."""


def test_where_runs_are_not_shared_no_page_tells_of_anothers(private: World) -> None:
    things = private.furnish(private.alice, MARK)
    routes = [*pages.router.routes, *study_pages.router.routes, *reports.router.routes]
    of_things = {route.path for route in routes if isinstance(route, APIRoute) and "_id}" in route.path}
    assert len(of_things) >= 4
    asked = [filled(page, things) for page in of_things]
    asked += [
        "/",
        "/studies",
        f"/runs/new?from={things['run_id']}",
        f"/?study_id={things['study_id']}",
        "/?group=owner",
    ]
    for page in asked:
        answer = private.client.get(page, headers={**private.bob, "accept": "text/html"})
        assert answer.status_code == (404 if things["run_id"] in page or filled("/{study_id}", things) in page else 200)
        assert MARK not in answer.text, page
        assert private.client.get(page, headers={"accept": "text/html"}, follow_redirects=False).status_code == 303


@pytest.mark.slow
def test_where_runs_are_not_shared_owner_and_admin_see_them_as_ever(private: World) -> None:
    things = private.furnish(private.alice, MARK)
    private.furnish(private.bob, "bobs")
    for headers, owners in ((private.alice, {"alice"}), (private.bob, {"bob"}), (private.admin, {"alice", "bob"})):
        for path in ("/v1/runs", "/v1/studies"):
            listed = private.client.get(path, headers=headers).json()["data"]
            assert {one["owner"] for one in listed} == owners
        told = {one["run_id"] for one in private.client.get("/v1/events", headers=headers).json()["data"]}
        assert (things["run_id"] in told) == ("alice" in owners)
    for method, path, operation in private.operations():
        if method == "GET" and owned(path) and "token" not in path:
            seen = {
                private.call(method, filled(path, things), operation, h).status_code
                for h in (private.alice, private.admin)
            }
            assert len(seen) == 1, path
    assert private.client.get(f"/v1/runs/{things['run_id']}", headers=private.admin).status_code == 200


def test_an_idempotency_key_belongs_to_its_owner(world: World) -> None:
    key = {"idempotency-key": "same"}
    first, other = (
        world.client.post("/v1/runs", json=body(seed=seed), headers={**who, **key})
        for seed, who in ((1, world.alice), (2, world.bob))
    )
    assert (first.status_code, other.status_code) == (201, 201)
    again = world.client.post("/v1/runs", json=body(seed=1), headers={**world.alice, **key})
    assert again.json()["id"] == first.json()["id"]


def test_nobody_cancels_anothers_runs_by_ids_or_by_a_filter(world: World) -> None:
    run = world.client.post("/v1/runs", json=body(name=MARK), headers=world.alice).json()
    by_id = world.client.post("/v1/runs/cancel", json={"ids": [run["id"]]}, headers=world.bob)
    assert (by_id.status_code, by_id.json()["code"]) == (403, "not_owner")
    by_filter = world.client.post("/v1/runs/cancel", json={"filter": f'name = "{MARK}"'}, headers=world.bob)
    assert (by_filter.json()["asked"], by_filter.json()["unchanged"]) == (0, 0)
    assert world.client.get(f"/v1/runs/{run['id']}", headers=world.bob).json()["status"] == "queued"


def test_a_quota_is_a_429_until_runs_have_ended_and_a_422_where_it_never_could_be(world: World) -> None:
    limited = world.token("eve", "write", max_active_runs=2)
    ids = [world.client.post("/v1/runs", json=body(seed=seed), headers=limited).json()["id"] for seed in (1, 2)]
    for path, wanted in (("/v1/runs", body(seed=3)), ("/v1/studies", {"base": body(epochs=4), "seeds": 2})):
        answer = world.client.post(path, json=wanted, headers=limited)
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
        assert int(answer.headers["retry-after"]) > 0
    never = world.client.post("/v1/studies", json={"base": BODY, "seeds": 3}, headers=limited)
    assert (never.status_code, never.json()["errors"][0]["code"]) == (422, "over_quota")
    world.client.post(f"/v1/runs/{ids[0]}/cancel", headers=limited)
    assert world.client.post("/v1/runs", json=body(seed=3), headers=limited).status_code == 201
    assert world.client.post("/v1/runs", json=body(seed=3), headers=world.alice).status_code == 201


def test_every_way_to_have_something_trained_counts(world: World) -> None:
    eve = world.token("eve", "write", max_active_runs=1)
    done = finished(world, eve)
    ended = world.client.post("/v1/runs", json=body(seed=2), headers=eve).json()["id"]
    world.client.post(f"/v1/runs/{ended}/cancel", headers=eve)
    study = world.client.post("/v1/studies", json={"base": body(epochs=4)}, headers=eve).json()["id"]
    world.client.post(f"/v1/studies/{study}/cancel", headers=eve)
    assert world.client.post("/v1/runs", json=body(seed=3), headers=eve).status_code == 201
    taught = body(seed=4, regularizers=[{"kind": "distillation", "teachers": [{"spec": body(seed=5)}]}])
    for path, wanted in (
        ("/v1/runs", body(seed=4)),
        ("/v1/runs", taught),
        ("/v1/runs/bulk", {"runs": [body(seed=4)]}),
        ("/v1/studies", {"base": body(epochs=5)}),
        (f"/v1/studies/{study}/seeds", {"add": 1}),
        (f"/v1/runs/{done}/clone", {"patch": {"seed": 4}}),
        (f"/v1/runs/{done}/extend", {"epochs": 2}),
        (f"/v1/runs/{done}/verify", None),
        (f"/v1/runs/{ended}/retry", None),
    ):
        answer = world.client.post(path, json=wanted, headers=eve)
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded"), path
