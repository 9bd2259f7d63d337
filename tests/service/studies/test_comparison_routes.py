"""Comparisons of a study's arms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import WORKER, measured
from tests.service.studies.training import DROPOUT, compare, post, some_loss, train

pytestmark = pytest.mark.slow


def test_comparison_equals_an_independent_computation(client: TestClient, work: Jobs) -> None:
    study = post(client).json()
    train(client, work, some_loss)
    result = compare(client, study)
    values = {arm: np.array([some_loss(arm, seed, 2) for seed in range(8)]) for arm in ("plain", "dropout")}
    d = values["dropout"] - values["plain"]
    signs = np.array(list(itertools.product([1, -1], repeat=8)))
    for group in result["arms"]:
        assert group["mean"] == pytest.approx(values[group["id"]].mean())
        assert group["std"] == pytest.approx(values[group["id"]].std(ddof=1))
        assert group["n"] == 8
    (pair,) = result["pairs"]
    for group in result["arms"]:
        assert [one["seed"] for one in group["values"]] == list(range(8))
        assert [one["value"] for one in group["values"]] == pytest.approx(values[group["id"]].tolist())
    assert (pair["arm"], pair["baseline"], pair["n"], pair["test"]) == ("dropout", "plain", 8, "sign_flip_exact")
    assert pair["mean_difference"] == pytest.approx(d.mean())
    assert pair["p"] == np.mean(np.abs(signs @ d) >= abs(d.sum()))
    assert (pair["verdict"], result["exploratory"], result["complete"]) == ("better", False, True)
    assert [one["difference"] for one in pair["differences"]] == pytest.approx(d.tolist())
    low, high = pair["ci"]
    assert low < d.mean() < high < 0
    last = compare(client, study, at="last")
    assert last["exploratory"]
    assert last["arms"][0]["mean"] == pytest.approx(np.mean([some_loss("plain", s, 3) for s in range(8)]))
    assert compare(client, study, at="epoch:1")["arms"][0]["mean"] == last["arms"][0]["mean"]
    accuracy = compare(client, study, metric="test.accuracy")
    assert (accuracy["direction"], accuracy["pairs"][0]["verdict"]) == ("higher_is_better", "better")
    swapped = compare(client, study, baseline="dropout")
    (pair,) = swapped["pairs"]
    assert (pair["verdict"], pair["mean_difference"]) == ("worse", pytest.approx(-d.mean()))
    assert swapped["exploratory"], "a baseline that is chosen after the results are seen"


def test_correction_is_selected_by_parameter_and_every_pair_has_holms_p(client: TestClient, work: Jobs) -> None:
    arms = {f"dropout {i}": {"regularizers_add": [{"kind": "dropout", "p": i / 10}]} for i in range(1, 6)}
    study = post(client, arms={"plain": {}, **arms}, seeds=6).json()
    train(client, work, some_loss)
    by_max_t, by_holm = compare(client, study), compare(client, study, correction="holm")
    assert (by_max_t["correction"], by_holm["correction"]) == ("max_t", "holm")
    assert (by_max_t["min_seeds_possible"], by_holm["min_seeds_possible"]) == (6, 8)
    assert [(pair["p_adjusted"], pair["verdict"]) for pair in by_max_t["pairs"]] == [(2 / 2**6, "better")] * 5
    assert [(pair["p_adjusted"], pair["verdict"]) for pair in by_holm["pairs"]] == [(10 / 2**6, "undecided")] * 5
    assert [pair["p_holm"] for pair in by_max_t["pairs"]] == [pair["p_adjusted"] for pair in by_holm["pairs"]]


def test_curves_are_the_mean_and_one_deviation_over_seeds(client: TestClient, work: Jobs) -> None:
    study = post(client).json()
    train(client, work, some_loss)
    result = compare(client, study, curves=["val.loss", "train.loss"])
    (plain, _) = result["curves"]["val.loss"]
    table = np.array([[some_loss("plain", seed, epoch) for epoch in (1, 2, 3)] for seed in range(8)])
    assert (plain["arm"], plain["epoch"], plain["n"]) == ("plain", [1, 2, 3], [8, 8, 8])
    assert plain["mean"] == pytest.approx(table.mean(axis=0))
    assert plain["high"] == pytest.approx(table.mean(axis=0) + table.std(axis=0, ddof=1))
    assert len(result["curves"]["train.loss"]) == 2
    assert "median" not in plain
    (quartiles, _) = compare(client, study, curves=["val.loss"], band="quartiles")["curves"]["val.loss"]
    assert quartiles["mean"] == plain["mean"]
    for name, quantile in (("low", 0.25), ("median", 0.5), ("high", 0.75)):
        assert quartiles[name] == pytest.approx(np.quantile(table, quantile, axis=0))


def test_unfinished_study_compares_finished_runs_and_draws_recorded_epochs(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=2).json()
    claims = work.claim(WORKER, limit=1)
    work.started(claims, device="cpu", determinism_class="test")
    work.record(claims, [measured(claims[0].run_id, 1, val_loss=0.5, test_loss=0.5)])
    assert client.get(f"/v1/studies/{study['id']}").json()["status"] == "running"
    result = compare(client, study, curves=["val.loss"])
    assert not result["complete"]
    assert sum(group["unfinished"] for group in result["arms"]) == 4
    assert result["pairs"][0]["verdict"] == "not_yet"
    assert [curve["mean"] for curve in result["curves"]["val.loss"] if curve["epoch"]] == [[0.5]]


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
    result = compare(client, study)
    assert [(group["n"], group["diverged"]) for group in result["arms"]] == [(0, 8), (8, 0)]
    (pair,) = result["pairs"]
    assert (pair["test"], pair["wins"], pair["verdict"], pair["mean_difference"]) == ("sign", 8, "better", None)


def test_seeds_added_after_an_interim_analysis_split_alpha(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=4).json()
    before = client.post(f"/v1/studies/{study['id']}/seeds", json={"add": 1})
    assert (before.status_code, before.json()["looks"], before.json()["seeds"]) == (202, 1, [0, 1, 2, 3, 4])
    train(client, work, some_loss)
    after = client.post(f"/v1/studies/{study['id']}/seeds", json={"seeds": [5, 11]}).json()
    assert (after["looks"], after["seeds"]) == (2, [0, 1, 2, 3, 4, 5, 11])
    train(client, work, some_loss)
    result = compare(client, study)
    assert (result["alpha"], result["looks"], result["pairs"][0]["n"]) == (0.025, 2, 7)
    again = client.post(f"/v1/studies/{study['id']}/seeds", json={"seeds": [5]})
    assert (again.status_code, again.json()["errors"][0]["code"]) == (422, "seed_there")
    assert client.post(f"/v1/studies/{study['id']}/seeds", json={}).status_code == 422


def test_deleted_runs_still_count_as_an_interim_analysis(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=4).json()
    train(client, work, some_loss)
    for run in client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]:
        assert client.delete(f"/v1/runs/{run['id']}").status_code == 204
    after = client.post(f"/v1/studies/{study['id']}/seeds", json={"add": 4}).json()
    assert (after["looks"], after["seeds"]) == (2, [0, 1, 2, 3, 4, 5, 6, 7])


def test_comparison_reports_deleted_pairs(client: TestClient, work: Jobs) -> None:
    more = {"regularizers_add": [{"kind": "l1", "strength": 0.1}]}
    study = post(client, arms={"plain": {}, "dropout": DROPOUT, "more": more}).json()
    train(client, work, some_loss)
    assert [pair["missing"] for pair in compare(client, study)["pairs"]] == [0, 0]
    runs = client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]
    ids = {(run["arm"], run["seed"]): run["id"] for run in runs}
    for place in (("dropout", 1), ("dropout", 5), ("plain", 5)):
        assert client.delete(f"/v1/runs/{ids[place]}").status_code == 204
    result = compare(client, study)
    assert {arm["id"]: (arm["n"], arm["missing"]) for arm in result["arms"]} == {
        "plain": (7, 1), "dropout": (6, 2), "more": (8, 0),
    }  # fmt: skip
    assert {pair["arm"]: (pair["n"], pair["missing"]) for pair in result["pairs"]} == {
        "dropout": (6, 2),
        "more": (7, 1),
    }
    assert {pair["missing"] for pair in compare(client, study, by="seed", pairs="all")["pairs"]} == {0}
    assert "2 seeds left out of a pair" in client.get(f"/studies/{study['id']}/report").text


def test_study_of_one_arm_has_a_report(client: TestClient, work: Jobs) -> None:
    study = post(client, arms={"plain": {}}).json()
    train(client, work, some_loss)
    report = client.get(f"/studies/{study['id']}/report")
    assert (report.status_code, "no pair is left" in report.text) == (200, False)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"metric": "weights.norm"}, "no_direction"),
        ({"metric": "penalty.l1"}, "no_such_series"),
        ({"at": "middle"}, "no_epoch"),
        ({"at": "epoch:" + "9" * 5000}, "no_epoch"),
        ({"baseline": "missing"}, "no_such_arm"),
        ({"by": "optimizer.nothing"}, "no_such_path"),
        ({"by": "regularizers." + "9" * 5000}, "no_such_path"),
        ({"minimum": "1"}, "unknown_parameter"),
        ({"min_effect": "inf"}, "finite_number"),
        ({"correction": "bonferroni"}, "literal_error"),
    ],
)
def test_invalid_questions_are_refused(client: TestClient, work: Jobs, params: dict[str, str], code: str) -> None:
    study = post(client, seeds=1).json()
    train(client, work, some_loss)
    answer = client.get(f"/v1/studies/{study['id']}/compare", params=params)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)
