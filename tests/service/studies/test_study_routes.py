"""Studies through the API, the worker's part played through the job source; every figure is computed again here."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, measured
from worker.ports import Outcome

DROPOUT = {"regularizers_add": [{"kind": "dropout", "p": 0.4}]}
STUDY = {"name": "does it help?", "base": BODY, "arms": {"plain": {}, "dropout": DROPOUT}, "seeds": 8}


def post(client: TestClient, **changed: Any) -> Any:
    return client.post("/v1/studies", json={**STUDY, **changed})


Losses = Callable[[str, int, int], float]
"""By arm, seed and epoch; nan is where a run diverges."""


def train(client: TestClient, work: Jobs, loss: Losses, epochs: int = 3) -> None:
    """Play the worker for all that is queued."""
    while claims := work.claim(WORKER, limit=100):
        work.started(claims, device="cpu", determinism_class="test")
        placed = {claim.run_id: client.get(f"/v1/runs/{claim.run_id}").json() for claim in claims}
        for claim in claims:
            arm, seed = placed[claim.run_id]["arm"], placed[claim.run_id]["seed"]
            values = [loss(arm, seed, number) for number in range(1, epochs + 1)]
            for number, value in enumerate(values, start=1):
                told: dict[str, Any] = {"train_loss": value / 2, "val_loss": value, "test_accuracy": 1 - value / 10}
                work.record([claim], [measured(claim.run_id, number, **told)])
            diverged = any(map(math.isnan, values))
            code = {"status": "failed", "code": "diverged", "message": "…"} if diverged else {"status": "succeeded"}
            work.finish([claim], [Outcome(run_id=claim.run_id, **code)])  # type: ignore[arg-type]


def some_loss(arm: str, seed: int, epoch: int) -> float:
    """Falls, then rises; dropout is lower by an amount that depends on the seed; eighths, so that sums are exact."""
    return (16 + seed % 5 + abs(epoch - 2) - (3 + seed % 3) * arm.startswith("dropout")) / 8


def compare(client: TestClient, study: Any, **asked: Any) -> Any:
    answer = client.get(f"/v1/studies/{study['id']}/compare", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_study_is_queued_at_once_and_told(client: TestClient) -> None:
    answer = post(client)
    study = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/studies/{study['id']}"
    assert (study["object"], study["status"], study["terminal"]) == ("study", "queued", False)
    assert (study["metric"], study["at"], study["baseline"], study["looks"]) == ("val.loss", "best", "plain", 1)
    assert study["seeds"] == list(range(8))
    assert [(arm["id"], arm["runs"]) for arm in study["arms"]] == [("plain", 8), ("dropout", 8)]
    assert study["progress"] == {"runs": 16, "by_status": {"queued": 16}, "epoch": 0, "epochs": 48}
    runs = client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]
    pairs = sorted((run["arm"], run["seed"]) for run in runs)
    assert pairs == [(arm, seed) for arm in ("dropout", "plain") for seed in range(8)]
    assert {run["study_id"] for run in runs} == {study["id"]}
    assert client.get(f"/v1/studies/{study['id']}").json() == study
    assert client.get("/v1/studies").json()["data"] == [study]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"arms": {"a/b": {"dataset": {"validation_size": 1442}}}}, "/arms/a~1b/dataset/validation_size"),
        ({"arms": {"a": {}}, "grid": {"dataset.train_size": [10, 5000]}}, "/grid/dataset.train_size"),
        ({"dataset": {"kind": "digits", "validation_size": 1442}, "arms": {"a": {}}}, "/base/dataset/validation_size"),
    ],
)
def test_what_cannot_be_trained_is_named_where_the_studys_body_says_it(
    client: TestClient, changes: dict[str, Any], pointer: str
) -> None:
    base = {**BODY, "dataset": changes.pop("dataset", {"kind": "digits", "train_size": 100})}
    answer = client.post("/v1/studies", json={"base": base, "seeds": 2, **changes})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


LR = "/sample/space/optimizer.lr"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"base": {**BODY, "epochs": float("nan")}, "arms": {"a": {"epochs": 2}}}, "/base/epochs"),
        (
            {
                "sample": {
                    "n": 1,
                    "space": {"optimizer.lr": {"distribution": "choice", "values": [0.1] * 30 + [-1e999]}},
                }
            },
            f"{LR}/values/30",
        ),
        (
            {"sample": {"n": 1, "space": {"optimizer.lr": {"distribution": "uniform", "low": 0, "high": 1e999}}}},
            f"{LR}/high",
        ),
    ],
)
def test_a_number_that_json_has_no_words_for_is_refused_even_where_no_run_would_have_it(
    client: TestClient, changes: dict[str, Any], pointer: str
) -> None:
    content = json.dumps({"base": BODY, **changes})
    answer = client.post("/v1/studies", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, [pointer])


def test_a_study_is_there_whole_or_not_at_all(client: TestClient) -> None:
    answer = post(client, arms={"plain": {}, "wrong": {"optimizer": {"lr": -1.0}}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/arms/wrong/optimizer/lr"
    assert client.get("/v1/runs").json()["data"] == []
    assert client.get("/v1/studies").json()["data"] == []


def test_an_idempotency_key_makes_one_study_of_two_posts(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first, again = (client.post("/v1/studies", json=STUDY, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert client.post("/v1/studies", json={**STUDY, "seeds": 2}, headers=headers).status_code == 422
    assert len(client.get("/v1/studies").json()["data"]) == 1


def test_an_idempotency_key_adds_seeds_once(client: TestClient, work: Jobs) -> None:
    study, headers = post(client, seeds=2).json(), {"Idempotency-Key": "k"}
    train(client, work, some_loss)
    url = f"/v1/studies/{study['id']}/seeds"
    first, again = (client.post(url, json={"add": 2}, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code, first.json()) == (202, 202, again.json())
    assert again.headers["idempotency-replayed"] == "true"
    now = client.get(f"/v1/studies/{study['id']}").json()
    assert (now["seeds"], now["looks"], now["progress"]["runs"]) == ([0, 1, 2, 3], 2, 8)
    assert client.post(url, json={"add": 3}, headers=headers).json()["code"] == "idempotency_key_reused"


def test_a_preview_counts_and_warns_and_queues_nothing(client: TestClient, work: Jobs) -> None:
    preview = client.post("/v1/studies/preview", json={**STUDY, "seeds": 4}).json()
    assert (preview["runs"], preview["reused"], preview["stacks"], preview["min_seeds_possible"]) == (8, 0, 1, 6)
    assert "at least 6" in preview["warnings"][0]
    assert preview["estimated_seconds"] > 0
    assert client.get("/v1/runs").json()["data"] == []
    adam = {"optimizer": {"kind": "adam", "lr": 0.01}}
    preview = client.post("/v1/studies/preview", json={**STUDY, "arms": {**STUDY["arms"], "adam": adam}}).json()  # type: ignore[dict-item]
    assert (preview["stacks"], preview["min_seeds_possible"], preview["warnings"]) == (2, 7, [])
    post(client, seeds=[2, 3])
    train(client, work, some_loss)
    preview = client.post("/v1/studies/preview", json=STUDY).json()
    assert (preview["runs"], preview["reused"]) == (16, 4)


def test_comparing_is_what_an_independent_computation_says(client: TestClient, work: Jobs) -> None:
    study = post(client).json()
    train(client, work, some_loss)
    found = compare(client, study)
    values = {arm: np.array([some_loss(arm, seed, 2) for seed in range(8)]) for arm in ("plain", "dropout")}
    d = values["dropout"] - values["plain"]
    signs = np.array(list(itertools.product([1, -1], repeat=8)))
    for group in found["arms"]:
        assert group["mean"] == pytest.approx(values[group["id"]].mean())
        assert group["std"] == pytest.approx(values[group["id"]].std(ddof=1))
        assert group["n"] == 8
    (pair,) = found["pairs"]
    assert (pair["arm"], pair["baseline"], pair["n"], pair["test"]) == ("dropout", "plain", 8, "sign_flip_exact")
    assert pair["mean_difference"] == pytest.approx(d.mean())
    assert pair["p"] == np.mean(np.abs(signs @ d) >= abs(d.sum()))
    assert (pair["verdict"], found["exploratory"], found["complete"]) == ("better", False, True)
    assert [one["difference"] for one in pair["differences"]] == pytest.approx(d.tolist())
    low, high = pair["ci"]
    assert low < d.mean() < high < 0
    last = compare(client, study, at="last")
    assert last["exploratory"]
    assert last["arms"][0]["mean"] == pytest.approx(np.mean([some_loss("plain", s, 3) for s in range(8)]))
    assert compare(client, study, at="epoch:1")["arms"][0]["mean"] == last["arms"][0]["mean"]
    accuracy = compare(client, study, metric="test.accuracy")
    assert (accuracy["direction"], accuracy["pairs"][0]["verdict"]) == ("higher_is_better", "better")
    swapped = compare(client, study, baseline="dropout")["pairs"][0]
    assert (swapped["verdict"], swapped["mean_difference"]) == ("worse", pytest.approx(-d.mean()))


def test_curves_are_the_mean_and_one_deviation_over_seeds(client: TestClient, work: Jobs) -> None:
    study = post(client).json()
    train(client, work, some_loss)
    found = compare(client, study, curves=["val.loss", "train.loss"])
    (plain, _) = found["curves"]["val.loss"]
    table = np.array([[some_loss("plain", seed, epoch) for epoch in (1, 2, 3)] for seed in range(8)])
    assert (plain["arm"], plain["epoch"], plain["n"]) == ("plain", [1, 2, 3], [8, 8, 8])
    assert plain["mean"] == pytest.approx(table.mean(axis=0))
    assert plain["high"] == pytest.approx(table.mean(axis=0) + table.std(axis=0, ddof=1))
    assert len(found["curves"]["train.loss"]) == 2


def test_a_study_on_its_way_compares_what_has_finished_and_draws_what_has_come(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=2).json()
    claims = work.claim(WORKER, limit=1)
    work.started(claims, device="cpu", determinism_class="test")
    work.record(claims, [measured(claims[0].run_id, 1, val_loss=0.5)])
    assert client.get(f"/v1/studies/{study['id']}").json()["status"] == "running"
    found = compare(client, study, curves=["val.loss"])
    assert not found["complete"]
    assert sum(group["unfinished"] for group in found["arms"]) == 4
    assert found["pairs"][0]["verdict"] == "undecided"
    assert [curve["mean"] for curve in found["curves"]["val.loss"] if curve["epoch"]] == [[0.5]]


def test_grouping_by_a_field_pairs_equal_seeds_and_equal_other_fields(client: TestClient, work: Jobs) -> None:
    study = post(client, grid={"optimizer.lr": [0.1, 0.2]}, seeds=6).json()
    assert [arm["id"] for arm in study["arms"]][:2] == ["plain [optimizer.lr=0.1]", "plain [optimizer.lr=0.2]"]

    def loss(arm: str, seed: int, epoch: int) -> float:
        return some_loss(arm, seed, epoch) + ("lr=0.2" in arm)

    train(client, work, loss)
    by_rate = compare(client, study, by="optimizer.lr")
    assert by_rate["exploratory"]
    assert [group["id"] for group in by_rate["arms"]] == ["optimizer.lr=0.1", "optimizer.lr=0.2"]
    (pair,) = by_rate["pairs"]
    assert (pair["n"], pair["mean_difference"], pair["verdict"]) == (6, pytest.approx(1.0), "worse")
    by_p = compare(client, study, by="regularizers.0.p")
    assert [group["id"] for group in by_p["arms"]] == ["regularizers.0.p=absent", "regularizers.0.p=0.4"]
    assert by_p["pairs"][0]["verdict"] == "better"
    assert by_p["pairs"][0]["n"] == 6
    both = compare(client, study, by=["arm", "optimizer.lr"], pairs="all")
    assert (len(both["arms"]), both["comparisons"]) == (4, 6)


def test_runs_that_diverge_count_as_losses(client: TestClient, work: Jobs) -> None:
    study = post(client).json()

    def loss(arm: str, seed: int, epoch: int) -> float:
        return math.nan if (arm, epoch) == ("plain", 2) else some_loss(arm, seed, epoch)

    train(client, work, loss)
    found = compare(client, study)
    assert [(group["n"], group["diverged"]) for group in found["arms"]] == [(0, 8), (8, 0)]
    (pair,) = found["pairs"]
    assert (pair["test"], pair["wins"], pair["verdict"], pair["mean_difference"]) == ("sign", 8, "better", None)


def test_more_seeds_after_a_look_split_alpha(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=4).json()
    before = client.post(f"/v1/studies/{study['id']}/seeds", json={"add": 1})
    assert (before.status_code, before.json()["looks"], before.json()["seeds"]) == (202, 1, [0, 1, 2, 3, 4])
    train(client, work, some_loss)
    after = client.post(f"/v1/studies/{study['id']}/seeds", json={"seeds": [5, 11]}).json()
    assert (after["looks"], after["seeds"]) == (2, [0, 1, 2, 3, 4, 5, 11])
    train(client, work, some_loss)
    found = compare(client, study)
    assert (found["alpha"], found["looks"], found["pairs"][0]["n"]) == (0.025, 2, 7)
    again = client.post(f"/v1/studies/{study['id']}/seeds", json={"seeds": [5]})
    assert (again.status_code, again.json()["errors"][0]["code"]) == (422, "seed_there")
    assert client.post(f"/v1/studies/{study['id']}/seeds", json={}).status_code == 422


def test_runs_that_were_seen_and_deleted_were_seen(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=4).json()
    train(client, work, some_loss)
    for run in client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]:
        assert client.delete(f"/v1/runs/{run['id']}").status_code == 204
    after = client.post(f"/v1/studies/{study['id']}/seeds", json={"add": 4}).json()
    assert (after["looks"], after["seeds"]) == (2, [0, 1, 2, 3, 4, 5, 6, 7])


def test_a_comparison_says_how_many_pairs_were_deleted(client: TestClient, work: Jobs) -> None:
    more = {"regularizers_add": [{"kind": "l1", "strength": 0.1}]}
    study = post(client, arms={"plain": {}, "dropout": DROPOUT, "more": more}).json()
    train(client, work, some_loss)
    assert [pair["missing"] for pair in compare(client, study)["pairs"]] == [0, 0]
    runs = client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]
    ids = {(run["arm"], run["seed"]): run["id"] for run in runs}
    for place in (("dropout", 1), ("dropout", 5), ("plain", 5)):
        assert client.delete(f"/v1/runs/{ids[place]}").status_code == 204
    found = compare(client, study)
    assert {arm["id"]: (arm["n"], arm["missing"]) for arm in found["arms"]} == {
        "plain": (7, 1), "dropout": (6, 2), "more": (8, 0),
    }  # fmt: skip
    assert {pair["arm"]: (pair["n"], pair["missing"]) for pair in found["pairs"]} == {"dropout": (6, 2), "more": (7, 1)}
    assert {pair["missing"] for pair in compare(client, study, by="seed", pairs="all")["pairs"]} == {0}
    assert "Of 2 seeds no pair is left" in client.get(f"/studies/{study['id']}/report").text


def test_a_study_of_one_arm_has_a_report(client: TestClient, work: Jobs) -> None:
    study = post(client, arms={"plain": {}}).json()
    train(client, work, some_loss)
    report = client.get(f"/studies/{study['id']}/report")
    assert (report.status_code, "no pair is left" in report.text) == (200, False)


def test_equal_runs_are_reused_across_studies_and_compare_alike(client: TestClient, work: Jobs) -> None:
    first = post(client).json()
    train(client, work, some_loss)
    second = post(client).json()
    assert (second["status"], second["progress"]["by_status"]) == ("finished", {"succeeded": 16})
    one, other = compare(client, first), compare(client, second)
    assert {k: v for k, v in one.items() if k != "study_id"} == {k: v for k, v in other.items() if k != "study_id"}


@pytest.mark.slow
def test_cancel_and_delete(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=2).json()
    url = f"/v1/studies/{study['id']}"
    held = work.claim(WORKER, limit=1)
    refused = client.delete(url)
    assert (refused.status_code, refused.json()["code"]) == (409, "study_active")
    cancelled = client.post(f"{url}/cancel")
    assert (cancelled.status_code, cancelled.json()["progress"]["by_status"]) == (
        202,
        {"cancelled": 3, "cancelling": 1},
    )
    assert client.post(f"{url}/cancel").status_code == 200
    assert client.delete(url).status_code == 409
    work.finish(held, [Outcome(run_id=held[0].run_id, status="cancelled")])
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404
    assert client.get(f"/v1/runs/{held[0].run_id}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"metric": "weights.norm"}, "no_direction"),
        ({"metric": "penalty.l1"}, "no_such_series"),
        ({"at": "middle"}, "no_epoch"),
        ({"at": "epoch:" + "9" * 5000}, "no_epoch"),
        ({"baseline": "nobody"}, "no_such_arm"),
        ({"by": "optimizer.nothing"}, "no_such_path"),
        ({"by": "regularizers." + "9" * 5000}, "no_such_path"),
        ({"minimum": "1"}, "unknown_parameter"),
        ({"min_effect": "inf"}, "finite_number"),
    ],
)
def test_questions_that_make_no_sense_are_refused(
    client: TestClient, work: Jobs, asked: dict[str, str], code: str
) -> None:
    study = post(client, seeds=1).json()
    train(client, work, some_loss)
    answer = client.get(f"/v1/studies/{study['id']}/compare", params=asked)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)


def test_what_is_not_there_is_not_found(client: TestClient) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/compare")):
        answer = client.request(method, f"/v1/studies/study_nothing{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "study_not_found")
    answer = client.post("/v1/studies/study_nothing/seeds", json={"add": 1})
    assert answer.json()["code"] == "study_not_found"


def test_a_study_that_is_too_large_says_what_would_be_taken(client: TestClient) -> None:
    answer = post(client, seeds=9999)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_many_runs")
    assert "5,000" in answer.json()["detail"]


@pytest.mark.slow
def test_adding_seeds_is_held_to_the_same_bounds(client: TestClient) -> None:
    study = post(client, seeds=[2**53 - 2]).json()
    url = f"/v1/studies/{study['id']}/seeds"
    assert client.post(url, json={"add": 1}).json()["seeds"] == [2**53 - 2, 2**53 - 1]
    for body, code in (({"add": 1}, "no_seeds_left"), ({"seeds": list(range(2499))}, "too_many_runs")):
        answer = client.post(url, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)
    assert client.post(url, json={"seeds": [2**53]}).status_code == 422


def test_a_grid_that_could_never_be_written_out_is_refused_at_once(client: TestClient) -> None:
    values = list(range(1, 1001))
    grid = dict.fromkeys(("epochs", "batch_size", "model.hidden.0", "dataset.train_size", "optimizer.lr"), values)
    for path in ("/v1/studies", "/v1/studies/preview"):
        answer = client.post(path, json={**STUDY, "grid": grid})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_many_runs")
        assert "2,000,000,000,000,000 arms" in answer.json()["detail"]
