"""Comparisons of any runs: like for like or left out with a reason, by the API."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from worker.ports import Outcome

LOSS, ACCURACY = "val.loss", "val.accuracy"


def trained(client: TestClient, work: Jobs, **changes: Any) -> str:
    """Return the id of a finished run, whose first epoch is the best."""
    answer = client.post("/v1/runs?reuse=false", json=body(**changes))
    assert answer.status_code == 201, answer.text
    run = str(answer.json()["id"])
    claims = work.claim(WORKER, limit=1)
    for epoch, loss in ((1, 0.5), (2, 0.8)):
        work.record(claims, [measured(run, epoch, val_loss=loss, val_accuracy=1 - loss, train_objective=loss)])
    work.finish(claims, [Outcome(run_id=run, status="succeeded")])
    return run


def comparison(client: TestClient, *ids: str) -> dict[str, Any]:
    answer = client.get("/v1/run_comparison", params={"ids": ",".join(ids)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def excluded(client: TestClient, *ids: str) -> dict[str, dict[str, str]]:
    """Return the reasons for exclusions by series, without those of no run."""
    return {one["name"]: one["excluded"] for one in comparison(client, *ids)["series"] if one["excluded"]}


def test_figures_are_those_of_the_best_and_the_last_epoch(client: TestClient, work: Jobs) -> None:
    first = trained(client, work, name="first")
    second = trained(client, work, name="second", optimizer={"kind": "sgd", "lr": 0.5})
    result = comparison(client, first, second, first)
    assert [run["name"] for run in result["runs"]] == ["first", "second"]
    for run in result["runs"]:
        assert (run["best_epoch"], run["epoch"]) == (1, 2)
        assert (run["best"][LOSS], run["last"][LOSS]) == (0.5, 0.8)
    assert {"path": "optimizer.lr", "values": [0.1, 0.5]} in result["differences"]
    series = {one["name"]: one for one in result["series"]}
    assert series[LOSS] == {"name": LOSS, "comparable": [first, second], "excluded": {}, "note": None}


def test_losses_of_other_kinds_are_left_out_but_not_accuracies(client: TestClient, work: Jobs) -> None:
    first = trained(client, work)
    other = trained(client, work, loss={"kind": "focal", "gamma": 2})
    reasons = excluded(client, first, other)
    assert set(reasons) == {"train.objective", "val.loss"} | ({"train.loss"} & set(reasons))
    assert reasons[LOSS] == {other: "its loss is focal (gamma 2.0), not cross_entropy"}


def test_penalties_make_objectives_other_quantities(client: TestClient, work: Jobs) -> None:
    first = trained(client, work)
    other = trained(client, work, regularizers=[{"kind": "l2", "strength": 0.1}])
    without = trained(client, work, regularizers=[{"kind": "dropout", "p": 0.5}])
    assert excluded(client, first, other, without) == {"train.objective": {other: "its penalties are others"}}


def test_default_loss_is_that_of_the_task(client: TestClient, work: Jobs) -> None:
    first, named = trained(client, work), trained(client, work, loss={"kind": "cross_entropy"})
    assert excluded(client, first, named) == {}


def test_other_data_and_axes_are_never_on_one_axis(client: TestClient, work: Jobs) -> None:
    first = trained(client, work)
    data = trained(client, work, dataset={"kind": "mnist1d", "train_size": 100})
    axis = trained(client, work, model={"kind": "knn"}, optimizer=None, batch_size=64)
    reasons = excluded(client, first, data, axis)
    kind = client.get(f"/v1/runs/{first}").json()["spec"]["dataset"]["kind"]
    assert reasons[LOSS] == {data: f"it is measured on mnist1d, not {kind}", axis: "its axis is k, not epoch"}
    assert reasons[ACCURACY] == reasons[LOSS]


def test_other_split_is_a_caution_for_validation_rows(client: TestClient, work: Jobs) -> None:
    dataset = client.get(f"/v1/runs/{trained(client, work)}").json()["spec"]["dataset"]
    ids = [trained(client, work, dataset={**dataset, "split_seed": seed}) for seed in (0, 1)]
    notes = {one["name"]: one["note"] for one in comparison(client, *ids)["series"]}
    assert notes[LOSS].startswith("Validation rows differ (dataset.split_seed)")


@pytest.mark.parametrize(("ids", "status"), [("", 422), (",", 422), ("run_none", 404)])
def test_ids_must_be_of_existing_runs(client: TestClient, ids: str, status: int) -> None:
    assert client.get("/v1/run_comparison", params={"ids": ids}).status_code == status
    page = client.get("/compare", params={"runs": ids}, headers={"accept": "text/html"})
    assert page.status_code == (200 if status == 422 and not ids.strip() else status)


def test_more_than_fifty_runs_are_refused(client: TestClient) -> None:
    answer = client.get("/v1/run_comparison", params={"ids": ",".join(f"run_{i}" for i in range(51))})
    assert "send the ids of 1 to 50" in answer.json()["detail"]


def test_replicates_of_two_arms_are_offered_as_a_study(client: TestClient, work: Jobs) -> None:
    changes: list[dict[str, Any]] = [{"seed": seed} for seed in (3, 4)]
    changes += [{"seed": seed, "regularizers": [{"kind": "dropout", "p": 0.5}]} for seed in (4, 3)]
    ids = [trained(client, work, **one) for one in changes]
    page = client.get(f"/compare?runs={','.join(ids)}", headers={"accept": "text/html"}).text
    assert "2 arms with the same 2 seeds" in page
    page = client.get(f"/compare?runs={','.join(ids[:3])}", headers={"accept": "text/html"}).text
    assert "/studies/new" not in page
