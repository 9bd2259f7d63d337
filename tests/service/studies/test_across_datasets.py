"""Studies on several datasets: pairs within each, and comparisons over all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy import stats

from service.workers.jobs import Jobs
from tests.service.studies.training import DROPOUT, compare, post, some_loss, train

pytestmark = pytest.mark.slow
GUESSING = 4.0
DATASETS = {f"d{i}": {"train_size": 50 + i} for i in range(6)}
MORE = {"regularizers_add": [{"kind": "l1", "strength": 0.1}]}


def post_study(client: TestClient, **changed: Any) -> Any:
    arms = {"plain": {}, "dropout": DROPOUT, "more": MORE}
    response = post(client, **{"arms": arms, "datasets": DATASETS, "seeds": 6, "metric": "val.loss", **changed})
    assert response.status_code == 201, response.text
    return response.json()


def loss(arm: str, seed: int, epoch: int) -> float:
    """Return a loss that depends on the dataset, and that is lower with dropout, by dataset and seed."""
    dataset = int(arm.partition("dataset=d")[2][0])
    gain = (1 + dataset) / 32 if arm.startswith("dropout") else 0
    return some_loss("plain", seed, epoch) - dataset / 8 - gain + seed * arm.startswith("more") / 64


def across(client: TestClient, study: Any, **params: Any) -> Any:
    response = client.get(f"/v1/studies/{study['id']}/across-datasets", params=params)
    assert response.status_code == 200, response.text
    return response.json()


def test_arms_are_compared_within_and_over_datasets(client: TestClient, work: Jobs) -> None:
    study = post_study(client)
    assert (len(study["arms"]), study["baseline"]) == (18, "plain [dataset=d0]")
    assert study["datasets"] == list(DATASETS)
    assert across(client, study)["arms"] == []
    train(client, work, loss, guessing=GUESSING)
    pairs = compare(client, study)["pairs"]
    assert {(pair["arm"], pair["baseline"]) for pair in pairs} == {
        (f"{arm} [dataset={name}]", f"plain [dataset={name}]") for arm in ("dropout", "more") for name in DATASETS
    }
    assert len(compare(client, study, pairs="all")["pairs"]) == 3 * 6
    result = across(client, study)
    names = ("plain", "dropout", "more")
    scores = {
        arm: 1 - np.array([[loss(f"{arm} [dataset={d}]", s, 2) for s in range(6)] for d in DATASETS]) / GUESSING
        for arm in names
    }
    means = np.array([scores[arm].mean(axis=1) for arm in names]).T
    for row, arm in zip(result["arms"], names, strict=True):
        assert row["iqm"]["value"] == pytest.approx(stats.trim_mean(scores[arm], 0.25, axis=None))
        assert row["iqm"]["ci"][0] < row["iqm"]["value"] < row["iqm"]["ci"][1]
    assert [row["mean_rank"] for row in result["arms"]] == stats.rankdata(-means, axis=1).mean(axis=0).tolist()
    dropout, more = result["pairs"]
    assert dropout["over_datasets"] | {"p_adjusted": 0, "p_holm": 0} == {
        "n": 6, "wins": 6, "losses": 0, "test": "signed_rank", "p": 2 / 2**6, "p_adjusted": 0, "p_holm": 0,
        "verdict": "better",
    }  # fmt: skip
    assert dropout["on_these_datasets"]["mean_difference"] == pytest.approx(
        (scores["dropout"] - scores["plain"]).mean()
    )
    assert dropout["on_these_datasets"]["verdict"] == "better"
    assert more["over_datasets"]["verdict"] == "worse"
    assert result["datasets"][0] | {"arms": []} == {
        "name": "d0", "n": 6, "missing": 0, "normalize": "guessing", "zero": GUESSING, "one": 0.0, "guessing": GUESSING,
        "arms": [],
    }  # fmt: skip
    assert (result["min_datasets_possible"], result["ranks"]["groups"]) == (6, [])
    assert [profile["share"][-1] for profile in result["profiles"]] == [0, 0, 0]
    refused = client.get(f"/v1/studies/{study['id']}/choice")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "several_datasets")
    assert client.get(f"/studies/{study['id']}").status_code == 200
    report = client.get(f"/studies/{study['id']}/report").text
    assert "Over all datasets" in report
    assert "dropout − plain" in report
    best = across(client, study, normalize="best", pairs="all", correction="holm")
    assert (best["exploratory"], len(best["pairs"])) == (True, 3)
    assert max(row["score"] for dataset in best["datasets"] for row in dataset["arms"]) < 1
    assert client.get(f"/v1/studies/{study['id']}/across-datasets", params={"range": "d1:1e-300:0"}).json()[
        "excluded_datasets"
    ]
    ranged = across(client, study, range=["d1:4:1", "d2:8:0"])
    assert [(one["normalize"], one["zero"], one["one"]) for one in ranged["datasets"][1:3]] == [
        ("range", 4, 1), ("range", 8, 0),
    ]  # fmt: skip


def test_divergence_is_the_worst_score_and_lacking_results_are_named(client: TestClient, work: Jobs) -> None:
    study = post_study(client, arms={"plain": {}, "dropout": DROPOUT}, datasets={"d0": {}, "d1": {"train_size": 50}})

    def some_diverge(arm: str, seed: int, epoch: int) -> float:
        return math.nan if arm.startswith("dropout [dataset=d1") and seed < 2 and epoch == 2 else loss(arm, seed, epoch)

    train(client, work, some_diverge, guessing=GUESSING)
    before = across(client, study)
    dropout = before["datasets"][1]["arms"][1]
    values = [loss("dropout [dataset=d1]", seed, 2) for seed in range(2, 6)]
    assert (dropout["diverged"], dropout["mean"]) == (2, pytest.approx(np.mean(values)))
    assert dropout["score"] == pytest.approx((2 * 0 + sum(1 - value / GUESSING for value in values)) / 6)
    assert before["pairs"][0]["on_these_datasets"]["test"] == "sign"
    runs = client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]
    for run in runs:
        if run["arm"] == "plain [dataset=d1]" or (run["arm"], run["seed"]) == ("plain [dataset=d0]", 3):
            assert client.delete(f"/v1/runs/{run['id']}").status_code == 204
    result = across(client, study)
    assert [(one["name"], one["n"], one["missing"]) for one in result["datasets"]] == [("d0", 5, 1)]
    assert result["excluded_datasets"] == [{"name": "d1", "reason": "No results of 'plain'."}]
    assert (result["not_yet"]["code"], result["pairs"][0]["over_datasets"]["verdict"]) == ("runs_deleted", "not_yet")
    assert result["pairs"][0]["on_these_datasets"]["p"] is None
    for run in runs:
        if run["arm"] == "plain [dataset=d0]":
            client.delete(f"/v1/runs/{run['id']}")
    alone = across(client, study)
    assert (alone["pairs"], [one["arm"] for one in alone["arms"]]) == ([], ["dropout"])
    assert alone["excluded_arms"] == [{"name": "plain", "reason": "It has no results on any dataset."}]


def test_grid_over_whole_datasets_is_compared_over_them(client: TestClient, work: Jobs) -> None:
    grid = {"dataset": [{"kind": "digits", "train_size": 50}, {"kind": "mnist1d", "train_size": 50}]}
    study = post_study(client, datasets={}, grid=grid, seeds=2)
    train(client, work, some_loss, guessing=GUESSING)
    result = across(client, study, metric="test.accuracy", at="last")
    assert ([one["name"] for one in result["datasets"]], result["baseline"]) == (["digits", "mnist1d"], "plain")
    assert {one["normalize"] for one in result["datasets"]} == {"none"}
    assert {pair["over_datasets"]["verdict"] for pair in result["pairs"]} == {"undecided"}


@pytest.mark.parametrize(
    ("changed", "params", "code"),
    [
        ({"datasets": {"d0": {}}}, {}, "one_dataset"),
        ({"grid": {"optimizer.lr": [i / 100 for i in range(1, 66)]}}, {}, "too_many_arms"),
        ({}, {"range": "d9:3:0"}, "no_such_dataset"),
        ({}, {"range": "d0:0:3"}, "empty_range"),
        ({}, {"range": "d0:3"}, "no_range"),
        ({}, {"normalize": "none"}, "lower_is_better"),
        ({}, {"baseline": "missing"}, "no_such_arm"),
        ({}, {"metric": "weights.norm"}, "no_direction"),
    ],
)
def test_invalid_questions_are_refused(
    client: TestClient, work: Jobs, changed: dict[str, Any], params: dict[str, str], code: str
) -> None:
    small = {"arms": {"plain": {}}, "datasets": {"d0": {}, "d1": {"train_size": 50}}, "seeds": 1}
    study = post_study(client, **{**small, **changed})
    train(client, work, loss if not changed else some_loss)
    response = client.get(f"/v1/studies/{study['id']}/across-datasets", params=params)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, code)
