"""Diagnoses of arms through the API: means over folds, divergence, unknown series, baselines."""

from __future__ import annotations

import html
import math
from typing import Any

from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import BODY
from tests.service.studies.training import post, train


def diagnosis(client: TestClient, study: Any) -> Any:
    answer = client.get(f"/v1/studies/{study['id']}/diagnosis")
    assert answer.status_code == 200, answer.text
    return answer.json()


def loss(arm: str, seed: int, epoch: int) -> float:
    """Return a loss that rises after epoch 8 without dropout and settles with it."""
    if arm == "dropout" and seed == 3:
        return math.nan
    jitter = 0.01 * math.sin(40 * seed + 9 * epoch)
    return 0.4 + math.exp(-epoch) + jitter + (0.03 * max(0, epoch - 8) if arm == "plain" else 0)


def test_arms_are_diagnosed_over_their_seeds(client: TestClient, work: Jobs) -> None:
    study = post(client, base={**BODY, "epochs": 20}, seeds=8).json()
    waiting = diagnosis(client, study)
    assert (waiting["complete"], waiting["metric"]) == (False, None)
    assert {arm["verdict"] for arm in waiting["arms"]} == {"undecided"}
    train(client, work, loss, epochs=20, guessing=2.25)
    result = diagnosis(client, study)
    assert (result["object"], result["complete"], result["alpha"]) == ("study_diagnosis", True, 0.05)
    assert (result["train_metric"], result["metric"], result["optimistic"]) == ("train.loss", "val.loss", False)
    plain, dropout = result["arms"]
    assert (plain["arm"], plain["verdict"], plain["n"], len(plain["regrets"])) == ("plain", "overfits", 8, 8)
    assert plain["p"] == 2 / 2**8
    assert 0.25 < plain["ci"][0] < plain["regret"] < plain["ci"][1] < 0.4
    assert (dropout["verdict"], dropout["n"], dropout["diverged"]) == ("fits", 7, 1)
    assert (plain["guessing"], dropout["guessing"]) == (2.25, 2.25)
    compared = client.get(f"/v1/studies/{study['id']}/compare?metric=val.loss").json()["arms"]
    assert [arm["guessing"] for arm in compared] == [2.25, 2.25]
    other = client.get(f"/v1/studies/{study['id']}/compare?metric=test.loss").json()["arms"]
    assert [arm["guessing"] for arm in other] == [None, None]
    assert plain["explanation"] in html.unescape(client.get(f"/studies/{study['id']}/report").text)
    assert client.get("/v1/studies/study_nothing/diagnosis").status_code == 404


def test_folds_of_a_seed_are_averaged(client: TestClient, work: Jobs) -> None:
    base = {**BODY, "epochs": 10, "dataset": {"kind": "digits", "train_size": 100}}
    study = post(client, base=base, seeds=6, folds=2, arms={"plain": {}}).json()
    train(client, work, loss, epochs=10)
    (arm,) = diagnosis(client, study)["arms"]
    assert (arm["n"], arm["epochs"], arm["guessing"]) == (6, 10, math.log(10))


def test_arms_that_are_rarely_evaluated_are_diagnosed_by_their_evaluated_epochs(client: TestClient, work: Jobs) -> None:
    base = {**BODY, "epochs": 20, "evaluate": {"every": 2}}
    study = post(client, base=base, seeds=6, arms={"plain": {}}).json()
    train(client, work, lambda arm, seed, epoch: loss(arm, seed, epoch) if epoch % 2 == 0 else 99.0, epochs=20)
    (arm,) = diagnosis(client, study)["arms"]
    assert (arm["verdict"], arm["epochs"], arm["best_epoch"] % 2) == ("overfits", 20, 0)
    (curve,) = client.get(f"/v1/studies/{study['id']}/compare?curves=val.loss").json()["curves"]["val.loss"]
    assert curve["epoch"] == list(range(2, 21, 2))
