"""Looks cannot be evaded: no verdict outside of one, and another question about known results is another look."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, measured
from tests.service.studies.training import DROPOUT, compare, post, some_loss, train
from worker.ports import Outcome

pytestmark = pytest.mark.slow

UNTESTED = dict.fromkeys(("p", "p_adjusted", "p_holm", "p_equivalence", "ci", "bootstrap_ci", "seeds_for_power"))
L1 = {"regularizers_add": [{"kind": "l1", "strength": 0.1}]}


def train_some(client: TestClient, work: Jobs, runs: int) -> None:
    """Train the first ``runs`` queued runs for one epoch."""
    claims = work.claim(WORKER, limit=runs)
    assert len(claims) == runs
    placed = {run["id"]: run for run in client.get("/v1/runs", params={"limit": 100}).json()["data"]}
    values = {c.run_id: some_loss(placed[c.run_id]["arm"], placed[c.run_id]["seed"], 1) for c in claims}
    work.started(claims, device="cpu", determinism_class="test")
    work.record(claims, [measured(run_id, 1, val_loss=value, test_loss=value) for run_id, value in values.items()])
    work.finish(claims, [Outcome(run_id=run_id, status="succeeded") for run_id in values])


def run_ids(client: TestClient, study: Any) -> dict[tuple[str, int], str]:
    runs = client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]
    return {(run["arm"], run["seed"]): run["id"] for run in runs}


def pending(result: Any) -> tuple[str, int, int]:
    """Return why no verdict is given, after checking that nothing was tested."""
    for pair in result["pairs"]:
        assert (pair["verdict"], pair["test"]) == ("not_yet", "none")
        assert {name: pair[name] for name in UNTESTED} == UNTESTED
    assert [arm["ci"] for arm in result["arms"]] == [None] * len(result["arms"])
    reason = result["not_yet"]
    return reason["code"], reason["ended"], reason["planned"]


def test_incomplete_study_has_means_and_no_verdict(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=16, metric="val.loss").json()
    assert pending(compare(client, study)) == ("runs_unfinished", 0, 32)
    train_some(client, work, 20)
    result = compare(client, study, min_effect=0.1, interval="bootstrap")
    assert pending(result) == ("runs_unfinished", 20, 32)
    assert result["not_yet"]["message"] == "12 of 32 runs have not ended."
    (pair,) = result["pairs"]
    assert (pair["n"], pair["mean_difference"] < 0, len(pair["differences"])) == (10, True, 10)
    refused = client.get(f"/v1/studies/{study['id']}/choice")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_choose")
    assert "12 of 32 runs" in refused.json()["detail"]
    train(client, work, some_loss)
    result = compare(client, study)
    assert (result["not_yet"], result["pairs"][0]["verdict"]) == (None, "better")


def test_cancelling_the_rest_gives_no_verdict_until_it_is_queued_again(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=16).json()
    train_some(client, work, 20)
    client.post(f"/v1/studies/{study['id']}/cancel")
    result = compare(client, study)
    assert pending(result) == ("runs_cancelled", 20, 32)
    assert "retry them" in result["not_yet"]["message"]
    assert client.get(f"/v1/studies/{study['id']}/choice").status_code == 409
    assert "12 of 32 runs were cancelled" in client.get(f"/studies/{study['id']}/report").text
    part = post(client, seeds=10).json()
    assert (part["status"], part["looks"], part["looks_from"]) == ("finished", 2, [study["id"]])
    assert pending(compare(client, part)) == ("seeds_left_out", 20, 20)
    assert "add the seeds 10, 11, 12, 13, 14, 15." in part["warnings"][0]
    for run_id in run_ids(client, study).values():
        client.post(f"/v1/runs/{run_id}/retry")
    train(client, work, some_loss)
    assert compare(client, study)["pairs"][0]["verdict"] == "better"


def test_new_study_of_the_same_runs_and_more_is_another_look(client: TestClient, work: Jobs) -> None:
    first = post(client).json()
    train(client, work, some_loss)
    second = post(client, seeds=12).json()
    assert (second["looks"], second["looks_from"]) == (2, [first["id"]])
    train(client, work, some_loss)
    result = compare(client, second)
    assert (result["alpha"], result["looks_from"], result["pairs"][0]["verdict"]) == (0.025, [first["id"]], "better")
    third = post(client, seeds=16).json()
    assert (third["looks"], third["looks_from"]) == (3, [first["id"], second["id"]])
    again = post(client, seeds=12).json()
    assert (again["looks"], again["looks_from"]) == (2, [first["id"], second["id"]])
    assert compare(client, again)["pairs"] == result["pairs"]


def test_nested_studies_submitted_in_advance_are_several_looks(client: TestClient) -> None:
    assert [post(client, seeds=n).json()["looks"] for n in (8, 12, 16, 8)] == [1, 2, 3, 1]


@pytest.mark.parametrize(
    "changed",
    [
        {"metric": "test.accuracy"},
        {"at": "last"},
        {"baseline": "dropout"},
        {"arms": {"plain": {}, "dropout": DROPOUT, "l1": L1}},
        {"arms": {"plain": {}, "l1": L1}},
        {"arms": {"one": {}, "other": DROPOUT}},
    ],
)
def test_another_question_about_known_results_is_another_look(
    client: TestClient, work: Jobs, changed: dict[str, Any]
) -> None:
    first = post(client).json()
    train(client, work, some_loss)
    body = {"base": BODY, "arms": {"plain": {}, "dropout": DROPOUT}, "seeds": 8, **changed}
    preview = client.post("/v1/studies/preview", json=body).json()
    assert (preview["looks"], preview["looks_from"], preview["min_seeds_possible"]) == (2, [first["id"]], 7)
    # A new training has the same results.
    second = client.post("/v1/studies", json=body, params={"reuse": "false"}).json()
    assert (second["looks"], second["looks_from"]) == (2, [first["id"]])


def test_runs_without_results_are_no_look_once_cancelled(client: TestClient, work: Jobs) -> None:
    first = post(client).json()
    client.post(f"/v1/studies/{first['id']}/cancel")
    second = post(client, metric="test.accuracy").json()
    assert (second["looks"], second["looks_from"]) == (1, [])
    train(client, work, some_loss)
    again = post(client, seeds=list(range(8, 16))).json()
    assert (again["looks"], again["looks_from"]) == (1, [])
    added = client.post(f"/v1/studies/{again['id']}/seeds", json={"seeds": list(range(8))}).json()
    assert (added["looks"], added["looks_from"]) == (2, [second["id"]])


def test_run_that_was_deleted_and_trained_again_changes_no_verdict(client: TestClient, work: Jobs) -> None:
    study = post(client).json()
    train(client, work, some_loss)
    assert client.delete(f"/v1/runs/{run_ids(client, study)['dropout', 2]}").status_code == 204
    result = compare(client, study)
    assert pending(result) == ("runs_deleted", 15, 16)
    assert "submit the study again" in result["not_yet"]["message"]
    again = post(client).json()
    assert (again["looks"], again["looks_from"], again["progress"]["by_status"]) == (
        1, [study["id"]], {"succeeded": 15, "queued": 1},
    )  # fmt: skip
    train(client, work, some_loss)
    result = compare(client, again)
    assert (result["alpha"], result["pairs"][0]["n"], result["pairs"][0]["verdict"]) == (0.05, 8, "better")
    without = post(client, seeds=[0, 1, 3, 4, 5, 6, 7]).json()
    assert pending(compare(client, without)) == ("seeds_left_out", 14, 14)


def test_study_that_cannot_decide_anything_warns(client: TestClient) -> None:
    assert "at least 6 pairs" in post(client, seeds=5).json()["warnings"][0]
    assert post(client, seeds=list(range(5, 11))).json()["warnings"] == []
    assert "at least 7 pairs, and the study has 6. It is look 2" in post(client, seeds=6).json()["warnings"][0]
    assert post(client, arms={"plain": {}}, seeds=1).json()["warnings"] == []
