"""Learning curves over HTTP: groups, sizes, verdicts, divergence, and what is refused."""

from __future__ import annotations

import html
import math
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import BODY
from tests.service.studies.training import post, train

SIZES = [50, 100, 200, 400, 800]
BASE: dict[str, Any] = {**BODY, "dataset": {"kind": "digits", "validation_size": 400}}
GRID: dict[str, Any] = {"dataset.train_size": SIZES}


def loss(arm: str, seed: int, epoch: int) -> float:
    """Return a loss by a power law of the size, in epoch 2, for "plain"; "flat" arms do not depend on the size."""
    size = int(re.search(r"train_size=(\d+)", arm).group(1))  # type: ignore[union-attr]
    noise = 0.01 * math.sin(7 * seed + size) + 0.02 * math.sin(seed)
    law = 1.0 if arm.startswith("flat") else 0.2 + 4 * size**-0.5
    return law + noise + 0.1 * abs(epoch - 2)


def curves(client: TestClient, study: Any, **query: Any) -> Any:
    answer = client.get(f"/v1/studies/{study['id']}/learning-curve", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refusal(client: TestClient, study: Any, **query: Any) -> Any:
    answer = client.get(f"/v1/studies/{study['id']}/learning-curve", params=query)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    return error


@pytest.mark.slow
def test_each_group_of_sizes_gets_a_law_predictions_and_a_verdict(client: TestClient, work: Jobs) -> None:
    arms: dict[str, Any] = {"plain": {}, "flat": {"optimizer": {"lr": 0.2}}}
    study = post(client, base=BASE, arms=arms, grid=GRID, seeds=6, metric="val.loss").json()
    before = curves(client, study)
    assert (before["not_yet"]["code"], before["groups"][0]["verdict"]) == ("runs_unfinished", "not_yet")
    train(client, work, loss)
    result = curves(client, study, target=0.3)
    plain, flat = result["groups"]
    assert (plain["id"], plain["verdict"], plain["n"]) == ("plain", "more_data_helps", 6)
    assert [size["rows"] for size in plain["sizes"]] == SIZES
    assert plain["sizes"][0]["mean"] == pytest.approx(0.2 + 4 * 50**-0.5, abs=0.02)
    law = plain["law"]
    assert (law["kind"], law["exponent"]) == ("power", pytest.approx(0.5, abs=0.05))
    for prediction, rows in zip(law["predictions"], (1600, 3200), strict=True):
        low, high = prediction["ci"]
        assert prediction["rows"] == rows
        assert low <= 0.2 + 4 * rows**-0.5 <= high
    needed = plain["rows_needed"]
    assert needed["low"] <= 1600 <= (needed["high"] or needed["max_rows"]) <= needed["max_rows"] == 6400
    assert plain["gain"]["min_effect"] == pytest.approx(0.05 * plain["sizes"][-1]["mean"])
    assert (flat["id"], flat["verdict"], flat["rows_needed"]["rows"]) == ("flat", "saturated", None)
    assert (result["exploratory"], result["optimistic"], result["alpha"]) == (False, True, 0.05)
    report = html.unescape(client.get(f"/studies/{study['id']}/report").text)
    assert plain["explanation"] in report
    assert "flat, predicted" in report
    accuracy = curves(client, study, metric="test.accuracy", at="last", min_size=100)
    assert (accuracy["direction"], accuracy["exploratory"]) == ("higher_is_better", True)
    assert accuracy["groups"][0]["law"]["coefficient"] < 0
    assert [size["used"] for size in accuracy["groups"][0]["sizes"]] == [False, True, True, True, True]
    assert "stop rule max_steps" in accuracy["groups"][0]["warnings"][0]


def test_curves_without_enough_sizes_replicates_or_values_are_undecided(client: TestClient, work: Jobs) -> None:
    few_sizes = post(client, base=BASE, arms={"plain": {}}, grid={"dataset.train_size": SIZES[:3]}, seeds=2).json()
    few_seeds = post(client, base=BASE, arms={"plain": {}}, grid=GRID, seeds=2).json()
    failing = post(client, base={**BASE, "epochs": 2}, arms={"plain": {}}, grid=GRID, seeds=6).json()

    def diverging(arm: str, seed: int, epoch: int) -> float:
        return math.nan if seed == 5 and arm.endswith("=50]") else loss(arm, seed, epoch)

    train(client, work, diverging, epochs=2)
    (group,) = curves(client, few_sizes)["groups"]
    assert (group["verdict"], group["law"]) == ("undecided", None)
    assert "at least 4" in group["explanation"]
    (group,) = curves(client, few_seeds)["groups"]
    assert group["verdict"] == "undecided"
    assert "Add 1 or more" in group["explanation"]
    (group,) = curves(client, failing)["groups"]
    assert (group["verdict"], group["n"], group["sizes"][0]["diverged"]) == ("undecided", 5, 1)
    assert "diverged at 50 rows" in group["explanation"]
    assert "best epoch of most runs is the last" in group["warnings"][1]
    assert curves(client, failing, min_size=100)["groups"][0]["verdict"] == "more_data_helps"


def test_studies_and_metrics_without_a_learning_curve_are_refused(client: TestClient) -> None:
    plain = post(client, base=BASE, seeds=1).json()
    error = refusal(client, plain)
    assert error["code"] == "no_train_size_axis"
    assert '"grid": {"dataset.train_size": [65, 130, 260, 521, 1042]}' in error["message"]
    sized = post(client, base=BASE, arms={"plain": {}}, grid=GRID, seeds=1).json()
    assert refusal(client, sized, metric="train.loss")["code"] == "rows_differ"
    assert refusal(client, sized, at="middle")["code"] == "no_epoch"
    assert refusal(client, sized, target=1e308)["code"] == "less_than_equal"
    sequential = post(client, base=BASE, arms={"plain": {}}, grid=GRID, seeds={"max": 32}).json()
    assert refusal(client, sequential)["code"] == "sequential_study"
    missing = client.get("/v1/studies/study_nothing/learning-curve")
    assert (missing.status_code, missing.json()["code"]) == (404, "study_not_found")
