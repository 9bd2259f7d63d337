"""Ownership: the owner of a new resource, and the callers that can see and change it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute

from service.store.database import open_engine, reading
from service.store.tables import METADATA, event_clock
from service.web.pages import reports
from service.web.pages import runs as pages
from service.web.pages import studies as study_pages
from tests.conftest import body
from tests.service.http.worlds import MARK, OPEN, World, filled, finished, owned

pytestmark = pytest.mark.slow


def test_resource_belongs_to_the_owner_of_the_token_that_created_it(world: World) -> None:
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
    result = {"study_id": study["id"], "limit": 100}
    runs = world.client.get("/v1/runs", params=result, headers=world.admin).json()["data"]
    assert {one["owner"] for one in runs} == {"alice"}, "what an admin adds to a study belongs to the study's owner"
    assert len(runs) == 2


def test_teachers_of_seeds_that_an_admin_adds_belong_to_the_studys_owner(world: World) -> None:
    taught = body(regularizers=[{"kind": "distillation", "teachers": [{"spec": body(seed=9)}]}])
    study = world.client.post("/v1/studies", json={"base": taught}, headers=world.alice).json()
    (teacher,) = world.client.get("/v1/runs?filter=study_id = null", headers=world.alice).json()["data"]
    world.client.post(f"/v1/runs/{teacher['id']}/cancel", headers=world.alice)
    more = world.client.post(f"/v1/studies/{study['id']}/seeds", json={"add": 1}, headers=world.admin)
    assert more.status_code == 202
    runs = world.client.get("/v1/runs", headers=world.admin).json()["data"]
    assert [run["owner"] for run in runs] == ["alice"] * 4


def test_every_response_is_private_and_nosniff(world: World) -> None:
    things = world.furnish(world.alice, MARK)
    for method, path, operation in world.operations():
        if method == "GET":
            for headers in (world.alice, {}):
                answer = world.call(method, filled(path, things), operation, headers)
                assert answer.headers["x-content-type-options"] == "nosniff", path
                assert answer.headers["cache-control"] in ("private, no-cache", "no-store", "no-cache"), path


def test_only_the_owner_and_admins_can_change_a_resource(world: World) -> None:
    things = world.furnish(world.alice, MARK)
    queued = world.client.post("/v1/runs", json=body(seed=5), headers=world.alice).json()
    refused, rows = 0, stored(world)
    for run_id in (things["run_id"], queued["id"]):
        before = state(world, {**things, "run_id": run_id})
        for method, path, operation in world.operations():
            if method == "GET" or not owned(path):
                continue
            answer = world.call(method, filled(path, {**things, "run_id": run_id}), operation, world.bob)
            code = answer.json()["code"] if answer.status_code >= 400 else ""
            refused += (answer.status_code, code) == (403, "not_owner")
            changed = rows - stored(world)
            assert not changed, f"{method} {path} changed {changed}"
            assert code or answer.json()["owner"] == "bob", f"{method} {path} did something in alice's name"
        assert state(world, {**things, "run_id": run_id}) == before
    assert refused >= 2 * 9
    assert world.client.post(f"/v1/runs/{queued['id']}/cancel", headers=world.alice).status_code == 202
    assert world.client.delete(f"/v1/runs/{queued['id']}", headers=world.admin).status_code == 204


def stored(world: World) -> Counter[tuple[str, str]]:
    """Return the rows of all tables, without the times at which tokens were used and the number of the last event."""
    engine = open_engine(world.app.state.settings)
    with reading(engine) as connection:
        rows = Counter(
            (table.name, repr({name: value for name, value in row.items() if name != "last_used_at"}))
            for table in METADATA.sorted_tables
            if table is not event_clock
            for row in connection.execute(sa.select(table)).mappings()
        )
    engine.dispose()
    return rows


def state(world: World, things: dict[str, str]) -> list[Any]:
    """Return everything that can be read of alice's resources."""
    paths = [path for method, path, _ in world.operations() if method == "GET" and owned(path)]
    answers = [world.client.get(filled(path, things), headers=world.alice) for path in paths]
    view = [answer.json() if answer.headers["content-type"].endswith("json") else answer.content for answer in answers]
    changing = {"last_used_at": None, "request_id": None}
    return [{**one, **changing} if isinstance(one, dict) else one for one in view]


def test_private_runs_are_invisible_to_others_in_every_operation(private: World) -> None:
    things, mine = private.furnish(private.alice, MARK), private.furnish(private.bob, "bobs")
    for method, path, operation in private.operations():
        if path in OPEN:
            continue
        named = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query" and "schema" in one]
        requests = [
            {},
            *({name: things[kind]} for name in named for kind in things if kind[:-3] in name or name in IDS),
        ]
        for params in requests:
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


@pytest.mark.parametrize("way", ["warm start", "teacher"])
@pytest.mark.parametrize(("digest", "code"), [({}, "run_not_found"), ({"sha256": "a" * 64}, "no_weights")])
def test_id_or_digest_of_private_weights_gives_no_access_to_them(
    private: World, way: str, digest: dict[str, str], code: str
) -> None:
    named = {"run_id": finished(private, private.alice), **digest}
    taught = {"regularizers": [{"kind": "distillation", "teachers": [named]}]}
    expected = body(seed=2, **({"warm_start": named} if way == "warm start" else taught))
    answers = [private.client.post("/v1/runs", json=expected, headers=who) for who in (private.bob, private.alice)]
    assert [answer.status_code for answer in answers] == [422, 201]
    assert answers[0].json()["errors"][0]["code"] == code
    mine = answers[1].json()["id"]
    again = private.client.post(f"/v1/runs/{mine}/clone", json={"patch": {"seed": 3}}, headers=private.alice)
    assert again.status_code == 201


def test_run_of_another_owner_is_not_waited_for_and_never_used_as_an_equal_source(private: World) -> None:
    theirs = private.client.post("/v1/runs", json=body(epochs=5), headers=private.alice).json()["id"]
    waiting = body(warm_start={"run_id": theirs, "wait": True})
    answer = private.client.post("/v1/runs", json=waiting, headers=private.bob)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "run_not_found")
    warm = private.client.post("/v1/runs", json=body(warm_start={"spec": body(epochs=5)}), headers=private.bob).json()
    assert warm["spec"]["warm_start"]["run_id"] != theirs


IDS = ("ids", "reference")
"""Query parameters that take ids of runs."""


def test_private_runs_are_invisible_to_others_on_every_page(private: World) -> None:
    things = private.furnish(private.alice, MARK)
    routes = [*pages.router.routes, *study_pages.router.routes, *reports.router.routes]
    of_things = {route.path for route in routes if isinstance(route, APIRoute) and "_id}" in route.path}
    assert len(of_things) >= 4
    requests = [filled(page, things) for page in of_things]
    requests += [
        "/",
        "/studies",
        f"/runs/new?from={things['run_id']}",
        f"/?study_id={things['study_id']}",
        "/?group=owner",
    ]
    for page in requests:
        answer = private.client.get(page, headers={**private.bob, "accept": "text/html"})
        assert answer.status_code == (404 if things["run_id"] in page or filled("/{study_id}", things) in page else 200)
        assert MARK not in answer.text, page
        assert private.client.get(page, headers={"accept": "text/html"}, follow_redirects=False).status_code == 303


def test_private_runs_are_visible_to_their_owner_and_admins(private: World) -> None:
    things = private.furnish(private.alice, MARK)
    private.furnish(private.bob, "bobs")
    for headers, owners in ((private.alice, {"alice"}), (private.bob, {"bob"}), (private.admin, {"alice", "bob"})):
        for path in ("/v1/runs", "/v1/studies"):
            listed = private.client.get(path, headers=headers).json()["data"]
            assert {one["owner"] for one in listed} == owners
        messages = {one["run_id"] for one in private.client.get("/v1/events", headers=headers).json()["data"]}
        assert (things["run_id"] in messages) == ("alice" in owners)
    for method, path, operation in private.operations():
        if method == "GET" and owned(path) and "token" not in path:
            received = {
                private.call(method, filled(path, things), operation, h).status_code
                for h in (private.alice, private.admin)
            }
            assert len(received) == 1, path
    assert private.client.get(f"/v1/runs/{things['run_id']}", headers=private.admin).status_code == 200


def test_idempotency_key_belongs_to_its_owner(world: World) -> None:
    key = {"idempotency-key": "same"}
    first, other = (
        world.client.post("/v1/runs", json=body(seed=seed), headers={**who, **key})
        for seed, who in ((1, world.alice), (2, world.bob))
    )
    assert (first.status_code, other.status_code) == (201, 201)
    again = world.client.post("/v1/runs", json=body(seed=1), headers={**world.alice, **key})
    assert again.json()["id"] == first.json()["id"]


def test_ids_and_filters_cannot_cancel_runs_of_another_owner(world: World) -> None:
    run = world.client.post("/v1/runs", json=body(name=MARK), headers=world.alice).json()
    by_id = world.client.post("/v1/runs/cancel", json={"ids": [run["id"]]}, headers=world.bob)
    assert (by_id.status_code, by_id.json()["code"]) == (403, "not_owner")
    by_filter = world.client.post("/v1/runs/cancel", json={"filter": f'name = "{MARK}"'}, headers=world.bob)
    assert (by_filter.json()["asked"], by_filter.json()["unchanged"]) == (0, 0)
    assert world.client.get(f"/v1/runs/{run['id']}", headers=world.bob).json()["status"] == "queued"
