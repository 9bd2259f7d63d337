"""Arms that start from runs which are trained first: pairs by seed, split and fold, and arms that start from arms."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from service.store.database import open_engine
from service.studies.bodies import StudyBody
from service.studies.sequencer import Sequencer
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, body
from tests.service.runs.teachers import distill, end
from tests.service.studies.training import DROPOUT, compare, post, train

SOURCE = {**BODY, "epochs": 5}
WARM: dict[str, Any] = {"warm_start": {"spec": SOURCE}}


@pytest.fixture
def here(on_sqlite: Settings) -> Settings:
    return on_sqlite.model_copy(update={"look_seconds": 3600.0})


def runs_of(client: TestClient) -> list[dict[str, Any]]:
    """Return all runs, oldest first."""
    runs: list[dict[str, Any]] = client.get("/v1/runs?limit=1000").json()["data"]
    return runs[::-1]


def train_all(work: Jobs) -> int:
    """Train everything, each run with weights of its own; return the number of runs."""
    count = 0
    while claims := work.claim(WORKER, limit=100):
        for claim in claims:
            count += 1
            end(work, claim, sha=f"{count:x}"[-1])
    return count


def test_each_run_of_an_arm_starts_from_the_run_of_its_seed(client: TestClient, work: Jobs) -> None:
    study = post(client, arms={"cold": {}, "warm": WARM}, seeds=3)
    assert study.status_code == 201, study.text
    runs = {run["id"]: run for run in runs_of(client)}
    waiting = [run for run in runs.values() if run["arm"] == "warm"]
    assert len(runs) == 9
    assert {run["status"] for run in waiting} == {"waiting"}
    for run in waiting:
        source = runs[run["spec"]["warm_start"]["run_id"]]
        assert (source["spec"]["seed"], source["spec"]["epochs"], source["study_id"]) == (run["spec"]["seed"], 5, None)
    more = client.post(f"/v1/studies/{study.json()['id']}/seeds", json={"add": 2})
    assert more.status_code == 202, more.text
    assert train_all(work) == 5 * 3
    assert {run["status"] for run in runs_of(client)} == {"succeeded"}


def test_source_that_is_an_arm_is_trained_once_and_a_chain_of_arms_in_order(client: TestClient, work: Jobs) -> None:
    second = {"epochs": 4, "warm_start": {"spec": BODY}}
    arms = {
        "third": {"epochs": 6, "warm_start": {"spec": {**BODY, **second}}},
        "second": second,
        "first": {},
    }
    study = post(client, arms=arms, seeds=2).json()
    runs = {run["id"]: run for run in runs_of(client)}
    assert len(runs) == 6, "every source is a run of the study"
    for run in runs.values():
        expected = {"third": "second", "second": "first", "first": None}[run["arm"]]
        start = run["spec"]["warm_start"]
        assert (runs[start["run_id"]]["arm"] if start else None) == expected
        assert start is None or runs[start["run_id"]]["spec"]["seed"] == run["spec"]["seed"]
    train(client, work, lambda *_: 0.5)  # without weights: runs that start from them cannot
    ended = {run["arm"]: (run["status"], (run["error"] or {}).get("code")) for run in runs_of(client)}
    assert ended["first"] == ("succeeded", None)
    assert ended["second"] == ended["third"] == ("failed", "source_failed")
    assert client.get(f"/v1/studies/{study['id']}").json()["terminal"]


def test_chain_of_arms_trains_to_its_end_and_is_reused(client: TestClient, work: Jobs) -> None:
    arms = {"first": {}, "second": {"epochs": 4, "warm_start": {"spec": BODY}}}
    post(client, arms=arms, seeds=2)
    assert train_all(work) == 4
    again = post(client, arms=arms, seeds=2).json()
    assert again["status"] == "finished"
    reused = [run for run in runs_of(client) if run["study_id"] == again["id"]]
    assert all(run["reused_from"] for run in reused)
    fresh = client.post("/v1/studies?reuse=false", json={"base": BODY, "arms": arms, "seeds": 2})
    assert fresh.status_code == 201
    assert train_all(work) == 4, "sources are the study's own runs again"


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"seeds": None, "replicates": {"n": 2}}, ("seed", "split_seed")),
        ({"seeds": None, "replicates": {"seeds": 2, "splits": 2}}, ("seed", "split_seed")),
        ({"seeds": 2, "folds": 3}, ("seed", "fold")),
    ],
)
def test_source_shares_whatever_replicates_vary(
    client: TestClient, changes: dict[str, Any], names: tuple[str, str]
) -> None:
    requested = {name: value for name, value in changes.items() if value is not None}
    dataset = {"kind": "digits", "train_size": 100} if "folds" in changes else BODY["dataset"]
    base = body(dataset=dataset)
    study = client.post("/v1/studies", json={"base": base, "arms": {"warm": WARM}, **requested})
    assert study.status_code == 201, study.text
    runs = {run["id"]: run for run in runs_of(client)}
    warm = [run for run in runs.values() if run["arm"]]
    values = set()
    for run in warm:
        source = runs[run["spec"]["warm_start"]["run_id"]]
        own, other = ((one["spec"]["seed"], str(one["spec"]["dataset"].get(names[1]))) for one in (run, source))
        assert own == other
        values.add(own)
    assert len(values) == len(warm) == len(runs) / 2


def test_split_is_not_varied_with_a_source_of_its_own_seed(client: TestClient) -> None:
    arms = {"warm": {"warm_start": {"spec": {**SOURCE, "seed": 1}}}}
    refused = client.post("/v1/studies", json={"base": BODY, "arms": arms, "replicates": {"n": 6}})
    (error,) = refused.json()["errors"]
    assert (error["code"], error["pointer"]) == ("split_not_variable", "/replicates")
    assert "Leave the seed out" in error["message"]


def test_source_with_a_seed_is_shared_by_all_runs(client: TestClient) -> None:
    arms = {
        "warm": {"warm_start": {"spec": {**SOURCE, "seed": 1}}},
        "taught": {"regularizers": distill({"spec": BODY})},
    }
    post(client, arms=arms, seeds=3)
    runs = runs_of(client)
    starts = {run["spec"]["warm_start"]["run_id"] for run in runs if run["spec"]["warm_start"]}
    assert len(starts) == 1
    assert len(runs) == 3 + 3 + 1 + 1, "one source and one teacher for three seeds of each arm"


def test_unfit_source_is_refused_with_its_place_in_the_study(client: TestClient, work: Jobs) -> None:
    wide = {**SOURCE, "model": {"kind": "mlp", "hidden": [17]}}
    refused = post(client, arms={"cold": {}, "warm": {"warm_start": {"spec": wide}}})
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "/arms/warm/warm_start/spec/model"
    assert "17×64 there and 16×64 here" in error["message"]
    assert work.claim(WORKER, limit=8) == ()


def test_preview_counts_the_runs_to_train_first_until_they_are_finished(client: TestClient, work: Jobs) -> None:
    request = {"base": BODY, "arms": {"cold": {}, "warm": WARM}, "seeds": 3}
    preview = client.post("/v1/studies/preview", json=request).json()
    assert (preview["runs"], preview["preceding_runs"], preview["preceding_seconds"] > 0) == (6, 3, True)
    chained = {**request, "arms": {"cold": {}, "warm": {"epochs": 4, "warm_start": {"spec": BODY}}}}
    assert client.post("/v1/studies/preview", json=chained).json()["preceding_runs"] == 0
    validated = client.post("/v1/runs?validate_only=true", json=body(**WARM)).json()
    assert (validated["preceding_runs"], validated["preceding_seconds"] > 0) == (1, True)
    assert validated["spec"]["warm_start"]["spec"]["epochs"] == 5
    assert runs_of(client) == []
    post(client, arms=request["arms"], seeds=3)
    train_all(work)
    again = client.post("/v1/studies/preview", json=request).json()
    assert (again["reused"], again["preceding_runs"]) == (3, 0), "sources are finished; weights are not looked up"


def test_study_with_a_source_that_diverged_before_fails_that_run_only(client: TestClient, work: Jobs) -> None:
    post(client, base=SOURCE, arms={"plain": {}}, seeds=2)
    train(client, work, lambda _, seed, __: float("nan") if seed == 1 else 0.5)
    study = post(client, arms={"cold": {}, "warm": WARM}, seeds=2).json()
    train(client, work, lambda *_: 0.5)
    warm = {run["seed"]: run["error"]["code"] for run in runs_of(client) if run["arm"] == "warm" and run["error"]}
    assert warm[1] == "source_failed"
    refused = client.post("/v1/runs", json=body(seed=1, **WARM))
    assert refused.json()["errors"][0]["pointer"] == "/warm_start/spec"
    assert compare(client, study, at="last")["arms"][0]["n"] == 2


def test_sequential_study_pairs_the_sources_of_later_seeds(client: TestClient, work: Jobs, here: Settings) -> None:
    arms = {"cold": {}, "warm": WARM, "dropout": DROPOUT}
    study = post(client, arms=arms, metric="val.loss", seeds={"max": 12, "first": 6, "step": 6})
    assert study.status_code == 201, study.text
    train_all(work)
    engine = open_engine(here)
    try:
        assert Sequencer(engine, here, StudyBody.plan_of).advance() == 1
    finally:
        engine.dispose()
    runs = {run["id"]: run for run in runs_of(client)}
    warm = [run for run in runs.values() if run["arm"] == "warm"]
    assert {run["seed"] for run in warm} == set(range(12))
    assert all(runs[run["spec"]["warm_start"]["run_id"]]["seed"] == run["seed"] for run in warm)
    assert "warm_start" not in client.get(f"/v1/studies/{study.json()['id']}").json()["arms"][1]
