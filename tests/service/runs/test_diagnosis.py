"""Diagnoses through the API; every suggestion can be posted as it is."""

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


def run(client: TestClient, work: Jobs, train: Any, held_out: Any, *, split: str = "val", **changed: Any) -> str:
    """A run with these losses; a nan ends it as diverged."""
    run_id: str = client.post("/v1/runs?reuse=false", json=body(epochs=len(train), **changed)).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="test")
    for number, (a, b) in enumerate(zip(train, held_out, strict=True), start=1):
        told: dict[str, Any] = {"train_loss_eval": float(a), f"{split}_loss": float(b)}
        work.record([claim], [measured(run_id, number, **told)])
    diverged = any(math.isnan(value) for value in (*train, *held_out))
    ended: dict[str, Any] = {"status": "succeeded"}
    if diverged:
        ended = {"status": "failed", "code": "diverged", "message": "…"}
    work.finish([claim], [Outcome(run_id=run_id, **ended)])
    return run_id


def diagnosis(client: TestClient, run_id: str, **asked: str) -> Any:
    answer = client.get(f"/v1/runs/{run_id}/diagnosis", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def falling(epochs: int, to: float, rate: float) -> Any:
    return to + (2.3 - to) * np.exp(-rate * np.arange(1, epochs + 1))


OVERFITS = (falling(40, 0.05, 0.2), falling(40, 0.32, 0.3) + 0.01 * np.maximum(0, np.arange(40) - 20))


def by_patch(client: TestClient, found: Any) -> Any:
    """The spec that a client gets who merges the patch himself, resolved."""
    spec = client.get(f"/v1/runs/{found['run_id']}").json()["spec"]
    body = merged(spec, found["suggested_patch"])
    return client.post("/v1/runs", params={"validate_only": "true"}, json=body).json()["spec"]


SETTLED = (falling(30, 0.4, 0.5), falling(30, 0.5, 0.5))


def test_an_overfit_run_gets_a_regularizer_and_the_suggestion_can_be_posted(client: TestClient, work: Jobs) -> None:
    found = diagnosis(client, run(client, work, *OVERFITS))
    assert (found["object"], found["verdict"], found["version"]) == ("diagnosis", "overfits", 3)
    assert (found["metric"], found["train_metric"], found["optimistic"]) == ("val.loss", "train.loss_eval", False)
    assert found["best_epoch"] < found["onset_epoch"] < 40
    assert found["regret"] > found["threshold"] > 0
    assert found["suggested_patch"] == {"regularizers": [{"kind": "dropout", "p": 0.4}]}
    assert "add dropout of 0.4" in found["explanation"]
    assert by_patch(client, found) == found["suggested_spec"]
    posted = client.post("/v1/runs", json=found["suggested_spec"])
    assert posted.status_code == 201
    assert [part["kind"] for part in posted.json()["spec"]["regularizers"]] == ["dropout"]


@pytest.mark.parametrize(
    ("regularizers", "suggested"),
    [
        ([{"kind": "dropout", "p": 0.2}], "l2"),
        ([{"kind": "dropout", "p": 0.2}, {"kind": "l2", "strength": 0.1}], None),
    ],
)
def test_what_is_there_already_is_not_suggested_again(
    client: TestClient, work: Jobs, regularizers: list[Any], suggested: str | None
) -> None:
    found = diagnosis(client, run(client, work, *OVERFITS, regularizers=regularizers))
    if suggested is None:
        assert found["suggested_patch"] == {"epochs": found["best_epoch"]}
    else:
        assert [part["kind"] for part in found["suggested_patch"]["regularizers"]] == ["dropout", suggested]
    assert client.post("/v1/runs", json=found["suggested_spec"]).status_code == 201


def test_an_underfit_run_gets_more_epochs(client: TestClient, work: Jobs) -> None:
    found = diagnosis(client, run(client, work, falling(20, 0.2, 0.05), falling(20, 0.25, 0.05)))
    assert (found["verdict"], found["suggested_patch"]) == ("underfits", {"epochs": 40})
    assert client.post("/v1/runs", json=found["suggested_spec"]).status_code == 201


@pytest.mark.slow
def test_a_plateau_is_decided_by_another_run_and_takes_its_model(client: TestClient, work: Jobs) -> None:
    high = run(client, work, falling(30, 1.6, 0.5), falling(30, 1.65, 0.5))
    wide = {"kind": "mlp", "hidden": [64, 64]}
    low = run(client, work, falling(30, 0.4, 0.5), falling(30, 0.5, 0.5), model=wide)
    alone, compared = diagnosis(client, high), diagnosis(client, high, reference=low)
    assert (alone["verdict"], alone["suggested_patch"]) == ("undecided", None)
    assert (compared["verdict"], compared["reference"]) == ("underfits", low)
    assert compared["suggested_patch"]["model"]["hidden"] == [64, 64]
    line = run(client, work, falling(30, 1.6, 0.5), falling(30, 1.65, 0.5), model={"kind": "linear"}, seed=1)
    for high_one, other_one in ((line, low), (high, run(client, work, *SETTLED, model={"kind": "linear"}, seed=2))):
        found, spec = (
            diagnosis(client, high_one, reference=other_one),
            client.get(f"/v1/runs/{high_one}").json()["spec"],
        )
        assert merged(spec, found["suggested_patch"]) == found["suggested_spec"]
        assert found["suggested_spec"]["model"] == client.get(f"/v1/runs/{other_one}").json()["spec"]["model"]
    assert diagnosis(client, low)["verdict"] == "fits"
    other = run(client, work, [1.0], [1.0], dataset={"kind": "digits", "train_size": 50, "validation_size": 60})
    answer = client.get(f"/v1/runs/{high}/diagnosis", params={"reference": other})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "other_data")


def test_a_diverged_run_gets_a_lower_learning_rate(client: TestClient, work: Jobs) -> None:
    found = diagnosis(client, run(client, work, [2.3, math.nan], [2.3, math.nan]))
    assert (found["verdict"], found["suggested_patch"]) == ("diverged", {"optimizer": {"lr": 0.01}})
    assert found["suggested_spec"]["optimizer"] == {"kind": "sgd", "lr": 0.01}
    finite = diagnosis(client, run(client, work, [2.3, 1e31, 1e31], [2.3, 1e31, 1e31], seed=1))
    assert finite["verdict"] == "diverged"


@pytest.mark.slow
def test_nothing_is_suggested_on_the_test_set_unless_that_was_allowed(client: TestClient, work: Jobs) -> None:
    nothing_held_out = {"kind": "digits", "train_size": 100, "validation_size": 0}
    found = diagnosis(client, run(client, work, *OVERFITS, split="test", dataset=nothing_held_out))
    assert (found["verdict"], found["optimistic"], found["suggested_patch"]) == ("overfits", True, None)
    assert "validation_size" in found["explanation"]
    allowed = run(client, work, *OVERFITS, split="test", dataset=nothing_held_out, allow_test_selection=True)
    assert diagnosis(client, allowed)["suggested_patch"] is not None


def test_without_losses_nothing_can_be_told(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    found = diagnosis(client, run_id)
    assert (found["verdict"], found["complete"], found["metric"]) == ("undecided", False, None)
    assert client.get("/v1/runs/run_nothing/diagnosis").status_code == 404


def test_a_loss_that_was_measured_once_is_no_curve_and_no_divergence(client: TestClient, work: Jobs) -> None:
    """With evaluate.test "last_epoch" and nothing held out, all test losses but the last are null."""
    run_id = client.post("/v1/runs", json=body(epochs=10)).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    for number in range(1, 11):
        told: dict[str, Any] = {"train_loss_eval": 1 / number} | ({"test_loss": 0.5} if number == 10 else {})
        work.record([claim], [measured(run_id, number, **told)])
    work.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    found = diagnosis(client, run_id)
    assert (found["verdict"], found["metric"]) == ("undecided", None)
    assert "Not every epoch" in found["explanation"]


@pytest.mark.slow
def test_too_many_neighbours_underfit_and_fewer_are_suggested(client: TestClient, work: Jobs) -> None:
    k = np.arange(1, 41)
    knn: dict[str, Any] = {"model": {"kind": "knn"}, "optimizer": None, "batch_size": 64}
    found = diagnosis(client, run(client, work, 1.0 + 0.01 * k, 0.6 + 1 / k + 0.02 * k, **knn))
    assert (found["verdict"], found["suggested_patch"]) == ("underfits", {"epochs": 7})
    assert by_patch(client, found) == found["suggested_spec"]
    assert "end with epoch 7" in found["explanation"]
    found = diagnosis(client, run(client, work, 1.0 + 0.01 * k, 0.3 + 2 * np.exp(-k / 40), **knn))
    assert (found["verdict"], found["suggested_patch"]) == ("overfits", {"epochs": 80})
