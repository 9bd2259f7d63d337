"""The quota of unfinished runs."""

from __future__ import annotations

from tests.conftest import BODY, body
from tests.service.http.worlds import World, finished


def test_full_quota_is_429_and_a_request_beyond_the_quota_is_422(world: World) -> None:
    limited = world.token("eve", "write", max_active_runs=2)
    ids = [world.client.post("/v1/runs", json=body(seed=seed), headers=limited).json()["id"] for seed in (1, 2)]
    for path, expected in (("/v1/runs", body(seed=3)), ("/v1/studies", {"base": body(epochs=4), "seeds": 2})):
        answer = world.client.post(path, json=expected, headers=limited)
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
        assert int(answer.headers["retry-after"]) > 0
    never = world.client.post("/v1/studies", json={"base": BODY, "seeds": 3}, headers=limited)
    assert (never.status_code, never.json()["errors"][0]["code"]) == (422, "over_quota")
    world.client.post(f"/v1/runs/{ids[0]}/cancel", headers=limited)
    assert world.client.post("/v1/runs", json=body(seed=3), headers=limited).status_code == 201
    assert world.client.post("/v1/runs", json=body(seed=3), headers=world.alice).status_code == 201


def test_runs_to_train_first_count_towards_the_quota(world: World) -> None:
    limited = world.token("eve", "write", max_active_runs=3)
    warm = {"warm_start": {"spec": body(epochs=5)}}
    never = world.client.post("/v1/studies", json={"base": body(**warm), "seeds": 2}, headers=limited)
    (error,) = never.json()["errors"]
    assert (never.status_code, error["code"]) == (422, "over_quota")
    assert "would train 4 runs" in error["message"]
    assert world.client.post("/v1/runs", json=body(**warm), headers=limited).status_code == 201
    full = world.client.post("/v1/runs", json=body(seed=1, **warm), headers=limited)
    assert (full.status_code, full.json()["code"]) == (429, "quota_exceeded")
    assert "before you add 2" in full.json()["detail"]


def test_every_way_to_train_counts_towards_the_quota(world: World) -> None:
    eve = world.token("eve", "write", max_active_runs=1)
    done = finished(world, eve)
    ended = world.client.post("/v1/runs", json=body(seed=2), headers=eve).json()["id"]
    world.client.post(f"/v1/runs/{ended}/cancel", headers=eve)
    study = world.client.post("/v1/studies", json={"base": body(epochs=4)}, headers=eve).json()["id"]
    world.client.post(f"/v1/studies/{study}/cancel", headers=eve)
    assert world.client.post("/v1/runs", json=body(seed=3), headers=eve).status_code == 201
    taught = body(seed=4, regularizers=[{"kind": "distillation", "teachers": [{"spec": body(seed=5)}]}])
    for path, expected in (
        ("/v1/runs", body(seed=4)),
        ("/v1/runs", taught),
        ("/v1/runs", body(seed=4, warm_start={"spec": body(seed=5)})),
        ("/v1/runs/bulk", {"runs": [body(seed=4)]}),
        ("/v1/studies", {"base": body(epochs=5)}),
        (f"/v1/studies/{study}/seeds", {"add": 1}),
        (f"/v1/runs/{done}/clone", {"patch": {"seed": 4}}),
        (f"/v1/runs/{done}/extend", {"epochs": 2}),
        (f"/v1/runs/{done}/verify", None),
        (f"/v1/runs/{ended}/retry", None),
    ):
        answer = world.client.post(path, json=expected, headers=eve)
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded"), path
