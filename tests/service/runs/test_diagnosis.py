"""Diagnoses through the API; every suggested spec can be submitted unchanged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.runs.patches import merged
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from worker.ports import Outcome


def run(
    client: TestClient, work: Jobs, train: Any, held_out: Any, *, split: str = "val", ended: Any = None, **changed: Any
) -> str:
    """Return the id of a run with these losses; a nan makes it diverge."""
    run_id: str = client.post("/v1/runs?reuse=false", json=body(**{"epochs": len(train), **changed})).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="test")
    for number, (a, b) in enumerate(zip(train, held_out, strict=True), start=1):
        losses: dict[str, Any] = {"train_loss_eval": float(a), f"{split}_loss": float(b)}
        work.record([claim], [measured(run_id, number, **losses)])
    diverged = any(math.isnan(value) for value in (*train, *held_out))
    outcome: dict[str, Any] = {"status": "succeeded"}
    if ended is not None:
        outcome = ended
    elif diverged:
        outcome = {"status": "failed", "code": "diverged", "message": "…"}
    work.finish([claim], [Outcome(run_id=run_id, **outcome)])
    return run_id


def diagnosis(client: TestClient, run_id: str, **parameters: str) -> Any:
    answer = client.get(f"/v1/runs/{run_id}/diagnosis", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def falling(epochs: int, to: float, rate: float) -> Any:
    return to + (2.3 - to) * np.exp(-rate * np.arange(1, epochs + 1))


OVERFITS = (falling(40, 0.05, 0.2), falling(40, 0.32, 0.3) + 0.01 * np.maximum(0, np.arange(40) - 20))


def by_patch(client: TestClient, diagnosed: Any) -> Any:
    """Return the resolved spec of a client that merges the patch itself."""
    spec = client.get(f"/v1/runs/{diagnosed['run_id']}").json()["spec"]
    body = merged(spec, diagnosed["suggested_patch"])
    return client.post("/v1/runs", params={"validate_only": "true"}, json=body).json()["spec"]


SETTLED = (falling(30, 0.4, 0.5), falling(30, 0.5, 0.5))


def test_overfit_run_gets_a_regularizer_and_the_suggestion_can_be_submitted(client: TestClient, work: Jobs) -> None:
    result = diagnosis(client, run(client, work, *OVERFITS))
    assert (result["object"], result["verdict"], result["version"]) == ("diagnosis", "overfits", 5)
    assert (result["metric"], result["train_metric"], result["optimistic"]) == ("val.loss", "train.loss_eval", False)
    assert result["best_epoch"] < result["onset_epoch"] < 40
    assert result["regret"] > result["threshold"] > 0
    assert result["suggested_patch"] == {"regularizers": [{"kind": "dropout", "p": 0.4}]}
    assert "add dropout of 0.4" in result["explanation"]
    assert by_patch(client, result) == result["suggested_spec"]
    posted = client.post("/v1/runs", json=result["suggested_spec"])
    assert posted.status_code == 201
    assert [part["kind"] for part in posted.json()["spec"]["regularizers"]] == ["dropout"]


@pytest.mark.parametrize(
    ("regularizers", "suggested"),
    [
        ([{"kind": "dropout", "p": 0.2}], "l2"),
        ([{"kind": "dropout", "p": 0.2}, {"kind": "l2", "strength": 0.1}], None),
    ],
)
def test_regularizer_of_the_run_is_not_suggested_again(
    client: TestClient, work: Jobs, regularizers: list[Any], suggested: str | None
) -> None:
    result = diagnosis(client, run(client, work, *OVERFITS, regularizers=regularizers))
    if suggested is None:
        assert [rule["kind"] for rule in result["suggested_patch"]["stop"]] == ["early_stopping"]
    else:
        assert [part["kind"] for part in result["suggested_patch"]["regularizers"]] == ["dropout", suggested]
    assert client.post("/v1/runs", json=result["suggested_spec"]).status_code == 201


def test_dropout_is_not_suggested_beside_lbfgs(client: TestClient, work: Jobs) -> None:
    lbfgs = {"kind": "lbfgs", "lr": 1.0}
    result = diagnosis(client, run(client, work, *OVERFITS, optimizer=lbfgs, batch_size="full"))
    assert [part["kind"] for part in result["suggested_patch"]["regularizers"]] == ["l2"]


def test_underfit_run_gets_more_epochs(client: TestClient, work: Jobs) -> None:
    result = diagnosis(client, run(client, work, falling(20, 0.2, 0.05), falling(20, 0.25, 0.05)))
    assert (result["verdict"], result["suggested_patch"]) == ("underfits", {"epochs": 40})
    assert client.post("/v1/runs", json=result["suggested_spec"]).status_code == 201


@pytest.mark.slow
def test_plateau_is_judged_against_a_reference_whose_model_is_suggested(client: TestClient, work: Jobs) -> None:
    high = run(client, work, falling(30, 1.6, 0.5), falling(30, 1.65, 0.5))
    wide = {"kind": "mlp", "hidden": [64, 64]}
    low = run(client, work, falling(30, 0.4, 0.5), falling(30, 0.5, 0.5), model=wide)
    alone, compared = diagnosis(client, high), diagnosis(client, high, reference=low)
    assert (alone["verdict"], alone["suggested_patch"]) == ("undecided", None)
    assert (compared["verdict"], compared["reference"]) == ("underfits", low)
    assert compared["suggested_patch"]["model"]["hidden"] == [64, 64]
    line = run(client, work, falling(30, 1.6, 0.5), falling(30, 1.65, 0.5), model={"kind": "linear"}, seed=1)
    for high_one, other_one in ((line, low), (high, run(client, work, *SETTLED, model={"kind": "linear"}, seed=2))):
        result, spec = (
            diagnosis(client, high_one, reference=other_one),
            client.get(f"/v1/runs/{high_one}").json()["spec"],
        )
        assert merged(spec, result["suggested_patch"]) == result["suggested_spec"]
        assert result["suggested_spec"]["model"] == client.get(f"/v1/runs/{other_one}").json()["spec"]["model"]
    assert diagnosis(client, low)["verdict"] == "fits"
    other = run(client, work, [1.0], [1.0], dataset={"kind": "digits", "train_size": 50, "validation_size": 60})
    answer = client.get(f"/v1/runs/{high}/diagnosis", params={"reference": other})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "other_data")


def test_diverged_run_gets_a_lower_learning_rate(client: TestClient, work: Jobs) -> None:
    result = diagnosis(client, run(client, work, [2.3, math.nan], [2.3, math.nan]))
    assert (result["verdict"], result["suggested_patch"]) == ("diverged", {"optimizer": {"lr": 0.01}})
    assert result["suggested_spec"]["optimizer"] == {"kind": "sgd", "lr": 0.01}
    finite = diagnosis(client, run(client, work, [2.3, 1e31, 1e31], [2.3, 1e31, 1e31], seed=1))
    assert finite["verdict"] == "diverged"


@pytest.mark.slow
def test_nothing_is_suggested_from_the_test_set_unless_the_spec_allows_it(client: TestClient, work: Jobs) -> None:
    nothing_held_out = {"kind": "digits", "train_size": 100, "validation_size": 0}
    result = diagnosis(client, run(client, work, *OVERFITS, split="test", dataset=nothing_held_out))
    assert (result["verdict"], result["optimistic"], result["suggested_patch"]) == ("overfits", True, None)
    assert "validation_size" in result["explanation"]
    allowed = run(client, work, *OVERFITS, split="test", dataset=nothing_held_out, allow_test_selection=True)
    assert diagnosis(client, allowed)["suggested_patch"] is not None


def test_run_without_losses_is_undecided(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    result = diagnosis(client, run_id)
    assert (result["verdict"], result["complete"], result["metric"]) == ("undecided", False, None)
    assert client.get("/v1/runs/run_nothing/diagnosis").status_code == 404


def test_loss_measured_once_is_undecided_rather_than_diverged(client: TestClient, work: Jobs) -> None:
    """With evaluate.test "last_epoch" and nothing held out, all test losses but the last are null."""
    run_id = client.post("/v1/runs", json=body(epochs=10)).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    for number in range(1, 11):
        losses: dict[str, Any] = {"train_loss_eval": 1 / number} | ({"test_loss": 0.5} if number == 10 else {})
        work.record([claim], [measured(run_id, number, **losses)])
    work.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    result = diagnosis(client, run_id)
    assert (result["verdict"], result["metric"]) == ("undecided", None)
    assert "Not every evaluated epoch" in result["explanation"]


@pytest.mark.slow
def test_too_many_neighbors_underfit_and_the_best_number_is_named(client: TestClient, work: Jobs) -> None:
    k = np.arange(1, 41)
    knn: dict[str, Any] = {"model": {"kind": "knn"}, "optimizer": None, "batch_size": 64}
    result = diagnosis(client, run(client, work, 1.0 + 0.01 * k, 0.6 + 1 / k + 0.02 * k, **knn))
    assert (result["verdict"], result["suggested_patch"]) == ("underfits", None)
    assert "Use k = 7: its val.loss is the lowest, and its model is stored." in result["explanation"]
    result = diagnosis(client, run(client, work, 1.0 + 0.01 * k, 0.3 + 2 * np.exp(-k / 40), **knn))
    assert (result["verdict"], result["suggested_patch"]) == ("overfits", {"epochs": 80})


FALLING = falling(20, 0.2, 0.05), falling(20, 0.25, 0.05)


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        ({"kind": "max_steps", "steps": 80}, {"steps": 160}),
        ({"kind": "early_stopping", "metric": "val.loss", "patience": 3, "min_delta": 1.0}, {"patience": 6}),
        ({"kind": "train_loss_below", "threshold": 5.0}, {"threshold": 0.5}),
    ],
)
def test_stop_rule_that_ended_a_run_is_loosened(
    client: TestClient, work: Jobs, rule: dict[str, Any], changed: dict[str, Any]
) -> None:
    """More epochs would end at the same epoch again."""
    run_id = client.post("/v1/runs", json=body(epochs=60, stop=[rule])).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    for number, (a, b) in enumerate(zip(*FALLING, strict=True), start=1):
        losses: dict[str, Any] = {"train_loss": float(a), "train_loss_eval": float(a), "val_loss": float(b)}
        work.record([claim], [measured(run_id, number, **losses)])
    work.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    result = diagnosis(client, run_id)
    assert result["verdict"] == "underfits"
    (suggested,) = result["suggested_patch"]["stop"]
    assert (suggested, set(result["suggested_patch"])) == ({**suggested, **changed}, {"stop"})
    assert by_patch(client, result) == result["suggested_spec"]


@pytest.mark.parametrize(
    ("ended", "cause"),
    [
        ({"status": "failed", "code": "time_limit", "message": "…"}, "max_seconds"),
        ({"status": "failed", "code": "out_of_memory", "message": "…"}, "epoch 20 of 60"),
    ],
)
def test_run_that_was_cut_short_gets_no_more_epochs(client: TestClient, work: Jobs, ended: Any, cause: str) -> None:
    result = diagnosis(client, run(client, work, *FALLING, epochs=60, ended=ended))
    assert (result["verdict"], result["suggested_patch"]) == ("underfits", None)
    assert cause in result["explanation"]


@pytest.mark.parametrize(("lr", "suggested"), [(1e5, 0.1), (1.0, 0.1), (0.1, 0.01)])
def test_lower_learning_rate_is_a_usual_one(client: TestClient, work: Jobs, lr: float, suggested: float) -> None:
    high = run(client, work, [2.3, math.nan], [2.3, math.nan], optimizer={"kind": "sgd", "lr": lr})
    assert diagnosis(client, high)["suggested_patch"] == {"optimizer": {"lr": suggested}}


def test_largest_number_of_neighbors_is_suggested_instead_of_more_epochs(client: TestClient, work: Jobs) -> None:
    """Only 100 rows exist, so k cannot be doubled from 60."""
    k = np.arange(1, 61)
    knn: dict[str, Any] = {"model": {"kind": "knn"}, "optimizer": None, "batch_size": 64}
    result = diagnosis(client, run(client, work, 0.5 + 0.001 * k, 0.3 + 2 * np.exp(-k / 60), **knn))
    assert (result["verdict"], result["suggested_patch"]) == ("overfits", {"epochs": 100})
    assert "k = 100" in result["explanation"]


def test_guessing_is_the_recorded_baseline(client: TestClient, work: Jobs) -> None:
    """A loss of 0.32 is far below ln 10, but no better than the class frequencies; the last value is lower still."""
    run_id = client.post("/v1/runs?reuse=false", json=body(epochs=20)).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    baseline = {"train.loss": 0.33, "val.loss": 0.325, "val.loss_last_value": 0.25}
    work.started([claim], device="cpu", determinism_class="test", baselines={run_id: baseline})
    for number in range(1, 21):
        work.record([claim], [measured(run_id, number, train_loss_eval=0.32, val_loss=0.324)])
    work.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    result = diagnosis(client, run_id)
    assert result["verdict"] == "worse_than_guessing"
    assert "last value in time gives 0.25" in result["explanation"]


def test_memorizing_run_gets_no_regularizer(client: TestClient, work: Jobs) -> None:
    result = diagnosis(client, run(client, work, falling(40, 0.01, 0.3), np.full(40, 2.35)))
    assert (result["verdict"], result["suggested_patch"]) == ("memorizes", None)
    assert "needs more rows" in result["explanation"]
