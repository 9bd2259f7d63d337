"""Studies with folds through the API, the worker's part played through the job source; figures are computed again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, measured
from tests.service.studies.training import DIVERGED, SUCCEEDED
from worker.ports import Outcome

pytestmark = pytest.mark.slow

BASE: dict[str, Any] = {**BODY, "dataset": {"kind": "digits", "train_size": 100}}
ARMS: dict[str, Any] = {"plain": {}, "dropout": {"regularizers_add": [{"kind": "dropout", "p": 0.4}]}}
STUDY: dict[str, Any] = {"name": "on folds", "base": BASE, "arms": ARMS, "seeds": 7, "folds": 5}

Losses = Callable[[str, int, int, int], float]
"""By arm, seed, fold and epoch; nan is where a run diverges."""


def post(client: TestClient, **changed: Any) -> Any:
    answer = client.post("/v1/studies", json={**STUDY, **changed})
    assert answer.status_code == 201, answer.text
    return answer.json()


def train(client: TestClient, work: Jobs, loss: Losses, *, most: int = 10_000) -> None:
    """Play the worker for what is queued, at most for so many runs."""
    page = client.get("/v1/runs", params={"status": "queued", "fields": "id,arm", "limit": 1000}).json()["data"]
    arms = {run["id"]: run["arm"] for run in page}
    while most and (claims := work.claim(WORKER, limit=min(most, 100))):
        most -= len(claims)
        work.started(claims, device="cpu", determinism_class="test")
        ends = dict.fromkeys([claim.run_id for claim in claims], SUCCEEDED)
        for epoch in (1, 2, 3):
            reply = []
            for claim in claims:
                spec: Any = claim.spec
                data = spec["dataset"]
                value = loss(arms[claim.run_id], spec["seed"], data.get("fold", {"index": 0})["index"], epoch)
                metrics: dict[str, Any] = {"train_loss": value / 2, "test_loss": 2 * value}
                metrics |= {"val_loss": value} if data["validation_size"] or "fold" in data else {}
                reply.append(measured(claim.run_id, epoch, **metrics))
                ends[claim.run_id] = DIVERGED if math.isnan(value) else ends[claim.run_id]
            work.record(claims, reply)
        work.finish(claims, [Outcome(run_id=run_id, **end) for run_id, end in ends.items()])


def some_loss(arm: str, seed: int, fold: int, epoch: int) -> float:
    """Lowest at an epoch that depends on the fold; dropout is lower by what depends on seed and fold; exact sums."""
    best = 1 + fold % 3
    return (64 + 4 * (seed % 5) + 9 * fold + abs(epoch - best) - (3 + seed % 3 + fold) * (arm == "dropout")) / 64


def table(arm: str, at: Callable[[list[float]], float] = min, seeds: int = 7) -> Any:
    """Values by seed and fold, as the study's runs have them."""
    return np.array(
        [[at([some_loss(arm, seed, fold, epoch) for epoch in (1, 2, 3)]) for fold in range(5)] for seed in range(seeds)]
    )


def compare(client: TestClient, study: Any, **query: Any) -> Any:
    answer = client.get(f"/v1/studies/{study['id']}/compare", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def runs_of(client: TestClient, study: Any) -> list[Any]:
    runs: list[Any] = client.get("/v1/runs", params={"study_id": study["id"], "limit": 1000}).json()["data"]
    return runs


def test_study_has_arms_times_seeds_times_folds_and_each_run_its_fold(client: TestClient) -> None:
    study = post(client)
    assert (study["folds"], study["metric"]) == (5, "val.loss")
    assert study["progress"] == {"runs": 70, "by_status": {"queued": 70}, "epoch": 0, "epochs": 210}
    assert [(arm["id"], arm["runs"]) for arm in study["arms"]] == [("plain", 35), ("dropout", 35)]
    runs = runs_of(client, study)
    assert {run["name"] for run in runs} == {None}
    result = sorted((run["arm"], run["seed"], run["spec"]["dataset"]["fold"]["index"]) for run in runs)
    assert result == sorted(itertools.product(ARMS, range(7), range(5)))
    assert {run["spec"]["dataset"]["fold"]["of"] for run in runs} == {5}
    assert len({run["spec_hash"] for run in runs}) == 70
    assert client.get(f"/v1/studies/{study['id']}").json() == study


def test_study_without_folds_reports_none(client: TestClient) -> None:
    study = post(client, folds=None, base=BODY)
    assert (study["folds"], study["progress"]["runs"]) == (None, 14)


def test_preview_counts_folds_in_runs_stacks_and_cost(client: TestClient) -> None:
    def preview(**changed: Any) -> Any:
        return client.post("/v1/studies/preview", json={**STUDY, **changed}).json()

    five, one = preview(), preview(folds=None, base=BODY)
    assert (five["runs"], five["folds"], five["stacks"]) == (70, 5, 5)
    assert (one["runs"], one["folds"], one["stacks"]) == (14, None, 1)
    two = preview(folds=2)
    assert five["estimated_seconds"] == pytest.approx(2.5 * two["estimated_seconds"], rel=0.3)
    assert client.get("/v1/runs").json()["data"] == []


def test_runs_of_equal_folds_are_reused_and_of_other_folds_are_not(client: TestClient, work: Jobs) -> None:
    post(client, seeds=1)
    train(client, work, some_loss)
    reply = client.post("/v1/studies/preview", json={**STUDY, "seeds": 2}).json()
    assert (reply["runs"], reply["reused"]) == (20, 10)
    assert client.post("/v1/studies/preview", json={**STUDY, "folds": 4}).json()["reused"] == 0


def test_added_seeds_are_trained_on_every_fold(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=2)
    more = client.post(f"/v1/studies/{study['id']}/seeds", json={"add": 1}).json()
    assert (more["progress"]["runs"], more["folds"], more["seeds"]) == (30, 5, [0, 1, 2])
    assert sum(run["seed"] == 2 for run in runs_of(client, study)) == 10
    cancelled = client.post(f"/v1/studies/{study['id']}/cancel").json()
    assert cancelled["progress"]["by_status"] == {"cancelled": 30}
    too_many = client.post(f"/v1/studies/{study['id']}/seeds", json={"seeds": list(range(10, 510))})
    assert (too_many.status_code, too_many.json()["errors"][0]["code"]) == (422, "too_many_runs")
    assert "503 seeds on 5 folds are 5,030 runs" in too_many.json()["detail"]


def test_folds_are_averaged_within_a_seed_and_the_unit_is_the_seed(client: TestClient, work: Jobs) -> None:
    study = post(client)
    train(client, work, some_loss)
    result = compare(client, study)
    values = {arm: table(arm) for arm in ARMS}
    for group in result["arms"]:
        of_seed = values[group["id"]].mean(axis=1)
        assert (group["n"], group["diverged"], group["unfinished"], group["missing"]) == (7, 0, 0, 0)
        assert group["mean"] == pytest.approx(of_seed.mean())
        assert group["std"] == pytest.approx(of_seed.std(ddof=1))
        within = math.sqrt(values[group["id"]].var(axis=1, ddof=1).mean())
        assert group["folds"] == {"n": 5, "sd_within": pytest.approx(within)}
    d = (values["dropout"] - values["plain"]).mean(axis=1)
    signs = np.array(list(itertools.product([1, -1], repeat=7)))
    (pair,) = result["pairs"]
    assert (pair["n"], pair["test"], pair["verdict"]) == (7, "sign_flip_exact", "better")
    assert [one["difference"] for one in pair["differences"]] == pytest.approx(d.tolist())
    assert pair["p"] == np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-12)
    swapped = compare(client, study, baseline="dropout")["pairs"][0]
    assert [one["difference"] for one in swapped["differences"]] == pytest.approx((-d).tolist())
    assert (swapped["verdict"], swapped["p"], swapped["ci"]) == (
        "worse",
        pair["p"],
        pytest.approx([-bound for bound in reversed(pair["ci"])]),
    )
    last = compare(client, study, at="last")
    assert last["arms"][0]["mean"] == pytest.approx(table("plain", lambda losses: losses[-1]).mean())


def test_one_seed_on_many_folds_has_no_p(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=1, folds=20)
    train(client, work, some_loss)
    result = compare(client, study)
    (pair,) = result["pairs"]
    assert (pair["n"], pair["p"], pair["verdict"], pair["test"]) == (1, None, "undecided", "none")
    assert pair["mean_difference"] < 0


def test_curves_are_means_over_folds(client: TestClient, work: Jobs) -> None:
    study = post(client)
    train(client, work, some_loss)
    (plain, _) = compare(client, study, curves=["val.loss"])["curves"]["val.loss"]
    of_seed = np.array([table("plain", lambda losses, e=epoch: losses[e]).mean(axis=1) for epoch in range(3)]).T  # type: ignore[misc]
    assert plain["n"] == [7, 7, 7]
    assert plain["mean"] == pytest.approx(of_seed.mean(axis=0))
    assert plain["low"] == pytest.approx(of_seed.mean(axis=0) - of_seed.std(axis=0, ddof=1))


def test_seed_with_a_diverged_fold_has_diverged(client: TestClient, work: Jobs) -> None:
    study = post(client)

    def loss(arm: str, seed: int, fold: int, epoch: int) -> float:
        lost = (arm, seed, fold) == ("dropout", 3, 2) and epoch > 1
        return math.nan if lost else some_loss(arm, seed, fold, epoch)

    train(client, work, loss)
    result = compare(client, study, curves=["val.loss"])
    assert [(group["n"], group["diverged"]) for group in result["arms"]] == [(7, 0), (6, 1)]
    (pair,) = result["pairs"]
    assert (pair["test"], pair["wins"], pair["losses"], pair["diverged"], pair["n"]) == ("sign", 6, 1, 1, 6)
    assert [curve["n"] for curve in result["curves"]["val.loss"]] == [[7, 7, 7], [6, 6, 6]]


def test_seed_counts_only_when_all_its_folds_do(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=2)
    train(client, work, some_loss, most=12)
    result = compare(client, study, curves=["val.loss"])
    done = {(run["arm"], run["seed"]) for run in runs_of(client, study)} - {
        (run["arm"], run["seed"]) for run in runs_of(client, study) if run["status"] != "succeeded"
    }
    assert [group["n"] for group in result["arms"]] == [sum(arm == one for one, _ in done) for arm in ARMS]
    assert [group["n"] + group["unfinished"] for group in result["arms"]] == [2, 2]
    assert sum(group["unfinished"] for group in result["arms"]) > 0
    train(client, work, some_loss)
    (run, *_) = [one for one in runs_of(client, study) if one["arm"] == "dropout" and one["seed"] == 1]
    assert client.delete(f"/v1/runs/{run['id']}").status_code == 204
    result = compare(client, study, curves=["val.loss"])
    assert [(group["n"], group["missing"]) for group in result["arms"]] == [(2, 0), (1, 1)]
    assert [one["seed"] for one in result["pairs"][0]["differences"]] == [0]
    assert [curve["n"] for curve in result["curves"]["val.loss"]] == [[2, 2, 2], [1, 1, 1]]


def test_folds_can_be_compared_with_each_other_and_are_cells_of_other_groups(client: TestClient, work: Jobs) -> None:
    study = post(client, grid={"optimizer.lr": [0.1, 0.2]}, seeds=6)
    train(client, work, lambda arm, *place: some_loss(arm.split()[0], *place) + ("lr=0.2" in arm))
    by_rate = compare(client, study, by="optimizer.lr")
    assert [group["folds"] for group in by_rate["arms"]] == [None, None]
    assert (by_rate["pairs"][0]["n"], by_rate["pairs"][0]["mean_difference"]) == (6, pytest.approx(1.0))
    by_fold = compare(client, study, by="dataset.fold.index")
    assert [group["id"] for group in by_fold["arms"]] == [f"dataset.fold.index={fold}" for fold in range(5)]
    assert {pair["n"] for pair in by_fold["pairs"]} == {6}
    harder = [pair["mean_difference"] for pair in by_fold["pairs"]]
    assert harder == sorted(harder)


@pytest.mark.parametrize(
    ("changed", "pointers"),
    [
        ({"base": {**BASE, "dataset": {"kind": "digits", "validation_size": 60}}}, ["/base/dataset/validation_size"]),
        ({"base": {**BASE, "dataset": {"kind": "digits", "fold": {"index": 0, "of": 5}}}}, ["/base/dataset/fold"]),
        ({"arms": {"a/b": {"dataset": {"validation_size": 1}}}}, ["/arms/a~1b/dataset/validation_size"]),
        ({"arms": {"x": {"dataset": {"fold": {"index": 1}}}}}, ["/arms/x/dataset/fold"]),
        ({"grid": {"dataset.validation_size": [0, 10]}}, ["/grid/dataset.validation_size"]),
        ({"grid": {"/dataset/fold/index": [0, 1]}}, ["/grid/~1dataset~1fold~1index"]),
        ({"grid": {"dataset": [{"kind": "digits"}, {"kind": "mnist1d", "validation_size": 5}]}}, ["/grid/dataset"]),
        (
            {"sample": {"n": 1, "space": {"dataset.fold.of": {"distribution": "integers", "low": 2, "high": 3}}}},
            ["/sample/space/dataset.fold.of"],
        ),
        ({"folds": 1}, ["/folds"]),
        ({"folds": 21}, ["/folds"]),
        ({"folds": "5"}, ["/folds"]),
        ({"base": {**BASE, "dataset": {"kind": "digits", "train_size": 1154}}}, ["/base/dataset/train_size"]),
        ({"seeds": 501}, [""]),
    ],
)
def test_data_that_cannot_be_split_into_folds_are_refused_with_a_pointer(
    client: TestClient, changed: dict[str, Any], pointers: list[str]
) -> None:
    for path in ("/v1/studies", "/v1/studies/preview"):
        answer = client.post(path, json={**STUDY, **changed})
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert client.get("/v1/runs").json()["data"] == []


def test_base_without_validation_rows_can_have_folds_and_early_stopping(client: TestClient) -> None:
    base = {**BASE, "dataset": {"kind": "digits", "validation_size": 0}, "stop": [{"kind": "early_stopping"}]}
    assert post(client, base=base)["folds"] == 5
