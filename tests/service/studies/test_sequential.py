"""Sequential studies: looks, seeds that are added, arms that stop, and what ends a study."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.callers import Caller
from service.errors import SpecRefused
from service.http.bodies import parse
from service.runs.bodies import run_of
from service.runs.service import Runs
from service.settings import Settings
from service.store.database import open_engine, reading
from service.studies import queries
from service.studies.bodies import StudyBody
from service.studies.sequencer import Sequencer
from service.studies.service import Studies
from service.workers.jobs import Jobs
from tests.conftest import BODY
from tests.service.studies.test_looks import L1, run_ids
from tests.service.studies.training import DROPOUT, STUDY, compare, post, train

pytestmark = pytest.mark.slow

SMALL = {**BODY, "dataset": {"kind": "digits", "train_size": 100}}
ARMS = {"plain": {}, "dropout": DROPOUT, "l1": L1}


def loss(arm: str, seed: int, epoch: int) -> float:
    """Return a loss that dropout always lowers, and L1 at every other seed."""
    lower = {"plain": 0, "dropout": 3 + seed % 3, "l1": 1 - 2 * (seed % 2)}[arm]
    return (16 + seed % 5 + abs(epoch - 2) - lower) / 8


@pytest.fixture
def sequencer(here: Settings, client: TestClient) -> Iterator[Sequencer]:
    engine = open_engine(here)
    yield Sequencer(engine, here, StudyBody.plan_of)
    engine.dispose()


@pytest.fixture
def here(on_sqlite: Settings) -> Settings:
    return on_sqlite.model_copy(update={"look_seconds": 3600.0})


def study_ends(client: TestClient, here: Settings, study: Any) -> list[str]:
    """Return the types of the events after which the study had ended, if they were the last ones."""
    events = client.get("/v1/events", params={"limit": 1000}).json()["data"]
    engine = open_engine(here)
    with reading(engine) as connection:
        ends = [event["type"] for event in events if queries.ended_with(connection, study["id"], event["id"])]
    engine.dispose()
    return ends


def study_at(client: TestClient, study: Any) -> Any:
    return client.get(f"/v1/studies/{study['id']}").json()


def verdicts(result: Any) -> dict[str, str]:
    return {pair["arm"]: pair["verdict"] for pair in result["pairs"]}


def test_decided_arms_stop_and_the_study_ends_at_its_maximum(
    client: TestClient, work: Jobs, sequencer: Sequencer
) -> None:
    study = post(client, arms=ARMS, seeds={"max": 14, "first": 6, "step": 4}).json()
    assert (study["seeds"], study["progress"]["runs"], study["status"]) == (list(range(6)), 18, "queued")
    assert study["sequential"]["next_look"] == 6
    assert sequencer.advance() == 0
    reason = compare(client, study)["not_yet"]
    assert (reason["code"], reason["message"]) == ("runs_unfinished", "18 of 18 runs have not ended.")
    for seeds, decided, runs in ((6, False, 30), (10, True, 38)):
        train(client, work, loss)
        assert (study_at(client, study)["status"], compare(client, study)["not_yet"]["code"]) == (
            "running", "look_pending",
        )  # fmt: skip
        assert sequencer.advance() == 1
        assert sequencer.advance() == 0
        now = study_at(client, study)
        assert (now["status"], now["progress"]["runs"]) == ("running", runs)
        result = compare(client, study)
        assert verdicts(result) == {"dropout": "better" if decided else "not_yet", "l1": "not_yet"}
        assert f"Undecided after {seeds} of up to 14 seeds. " in result["not_yet"]["message"]
        assert client.get(f"/v1/studies/{study['id']}/choice").status_code == 409
    train(client, work, loss)
    assert sequencer.advance() == 1
    now, result = study_at(client, study), compare(client, study)
    assert (now["status"], now["terminal"], now["seeds"]) == ("finished", True, list(range(14)))
    assert {arm["id"]: (arm["runs"], arm["decided_at"]) for arm in now["arms"]} == {
        "plain": (14, None), "dropout": (10, 10), "l1": (14, None),
    }  # fmt: skip
    assert verdicts(result) == {"dropout": "better", "l1": "undecided"}
    course = result["sequential"]
    assert [(look["seeds"], look["decided"]) for look in course["looks"]] == [(6, []), (10, ["dropout"]), (14, [])]
    assert (course["ended"], course["next_look"], result["not_yet"]) == ("max_reached", None, None)
    (dropout, _) = result["pairs"]
    assert (dropout["p"], dropout["p_adjusted"], dropout["test"]) == (None, None, "sequential_sign_flip")
    assert dropout["ci_method"] == "repeated confidence interval, unadjusted"
    assert dropout["ci"][0] < dropout["mean_difference"] < dropout["ci"][1] < 0
    looks = dropout["sequential"]["looks"]
    assert [look["seeds"] for look in looks] == [6, 10]
    assert looks[1]["statistic"] > looks[1]["critical_value"]
    assert (dropout["sequential"]["mean_biased"], dropout["sequential"]["decided_at"]) == (True, 10)
    assert [arm["missing"] for arm in result["arms"]] == [0, 0, 0]
    assert "Look at seeds" in client.get(f"/studies/{study['id']}/report").text
    assert "14 of up to 14" in client.get(f"/studies/{study['id']}").text
    last = compare(client, study, at="last")
    assert (last["exploratory"], last["pairs"][0]["sequential"]["seeds"] >= 6) == (True, True)
    assert client.delete(f"/v1/studies/{study['id']}").status_code == 204


def test_study_ends_once_every_arm_is_decided_and_repeating_it_trains_nothing(
    client: TestClient, work: Jobs, sequencer: Sequencer, here: Settings
) -> None:
    body = {"arms": {"plain": {}, "dropout": DROPOUT}, "seeds": {"max": 32, "first": 10, "vary": ["seed", "split"]}}
    body |= {"base": SMALL}
    study = post(client, **body).json()
    train(client, work, loss)
    assert study_ends(client, here, study) == []
    assert sequencer.advance() == 1
    assert study_ends(client, here, study) == ["study.look"]
    assert (study_at(client, study)["status"], compare(client, study)["sequential"]["ended"]) == ("finished", "decided")
    assert compare(client, study)["generalizes_over"] == ["seed", "split"]
    again = post(client, **body).json()
    assert (again["looks"], again["looks_from"], again["progress"]["by_status"]) == (
        1, [study["id"]], {"succeeded": 20},
    )  # fmt: skip
    assert sequencer.advance() == 1
    assert compare(client, again)["pairs"] == compare(client, study)["pairs"]
    fixed = post(client, **{**body, "seeds": 10}).json()
    assert (fixed["looks"], fixed["looks_from"]) == (2, [study["id"], again["id"]])


def test_every_seed_of_a_look_has_all_folds(client: TestClient, work: Jobs, sequencer: Sequencer) -> None:
    study = post(client, base=SMALL | {"dataset": {"kind": "digits"}}, seeds={"max": 8, "first": 4}, folds=2).json()
    assert study["progress"]["runs"] == 16
    train(client, work, loss)
    assert sequencer.advance() == 1
    runs = client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]
    cells = {(run["arm"], run["seed"], run["spec"]["dataset"]["fold"]["index"]) for run in runs}
    assert cells == set(product(("plain", "dropout"), range(8), range(2)))


def test_every_seed_of_generated_data_has_data_of_its_own(client: TestClient, work: Jobs, sequencer: Sequencer) -> None:
    drawn = {"dataset": {"kind": "linear"}, "model": {"kind": "linear"}}
    fixed = {"dataset": {"data_seed": 7}}
    study = post(client, base=BODY | drawn, arms={"plain": {}, "l1": L1, "fixed": fixed}, seeds={"max": 8, "first": 4})
    assert study.status_code == 201, study.text
    train(client, work, lambda arm, seed, _: 1 + seed % 3 / 8 * (arm != "plain"))
    assert sequencer.advance() == 1
    runs = client.get("/v1/runs", params={"study_id": study.json()["id"], "limit": 100}).json()["data"]
    data = {(run["arm"], run["seed"]): run["spec"]["dataset"]["data_seed"] for run in runs}
    assert data == {(arm, seed): 7 if arm == "fixed" else seed for arm in ("plain", "l1", "fixed") for seed in range(8)}


def test_equivalent_arms_are_decided(client: TestClient, work: Jobs, sequencer: Sequencer) -> None:
    study = post(client, seeds={"max": 16, "first": 12}, min_effect=1.0).json()
    train(client, work, lambda arm, seed, _: 2 + (seed % 3 - 1) / 16 * (arm == "dropout"))
    assert sequencer.advance() == 1
    assert verdicts(compare(client, study)) == {"dropout": "equivalent"}
    assert compare(client, study)["sequential"]["ended"] == "decided"


def test_cancelled_study_takes_no_more_looks(client: TestClient, work: Jobs, sequencer: Sequencer) -> None:
    study = post(client, seeds={"max": 12, "first": 4}).json()
    train(client, work, loss)
    assert sequencer.advance() == 1
    assert client.post(f"/v1/studies/{study['id']}/cancel").status_code == 202
    assert client.post(f"/v1/studies/{study['id']}/cancel").status_code == 200
    assert sequencer.advance() == 0
    result = compare(client, study)
    assert (verdicts(result), result["sequential"]["ended"]) == ({"dropout": "not_yet"}, "stopped")
    assert result["not_yet"]["message"].startswith("Undecided after 4 of up to 12 seeds. The study was cancelled.")
    assert study_at(client, study)["status"] == "finished"


def test_missing_runs_interrupt_a_study_until_they_are_queued_again(
    client: TestClient, work: Jobs, sequencer: Sequencer
) -> None:
    study = post(client, seeds={"max": 12, "first": 6}).json()
    run_id = run_ids(client, study)["dropout", 5]
    client.post(f"/v1/runs/{run_id}/cancel")
    train(client, work, loss)
    assert (sequencer.advance(), study_at(client, study)["status"]) == (0, "finished")
    assert compare(client, study)["not_yet"]["code"] == "runs_cancelled"
    client.post(f"/v1/runs/{run_id}/retry")
    assert study_at(client, study)["status"] == "running"
    train(client, work, loss)
    assert sequencer.advance() == 1


def test_study_without_any_pair_stops(client: TestClient, work: Jobs, sequencer: Sequencer) -> None:
    study = post(client, seeds={"max": 12, "first": 6}, metric="val.r2").json()
    train(client, work, loss)
    assert sequencer.advance() == 0
    assert study_at(client, study)["sequential"]["stop_reason"] == (
        "No two arms have a value of 'val.r2' at the same seed."
    )


def test_several_services_take_a_look_once(client: TestClient, work: Jobs, here: Settings) -> None:
    study = post(client, seeds={"max": 12, "first": 4}).json()
    train(client, work, loss)
    engines = [open_engine(here) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda engine: Sequencer(engine, here, StudyBody.plan_of).advance(), engines))
    for engine in engines:
        engine.dispose()
    assert (sum(counts), study_at(client, study)["progress"]["runs"]) == (1, 16)


def test_looks_respect_the_quota_of_the_token(
    client: TestClient, work: Jobs, sequencer: Sequencer, here: Settings
) -> None:
    engine = open_engine(here)
    alice = Caller(owner="alice", scopes=("write",), max_active_runs=9)
    studies, runs = Studies(engine, here, run_of).on_behalf_of(alice), Runs(engine, here).on_behalf_of(alice)
    large, small = (
        parse(StudyBody, json.dumps({**STUDY, "seeds": {"max": 12, "first": 4, "step": step}}).encode()).new_study()
        for step in (8, 4)
    )
    with pytest.raises(SpecRefused, match="A look would train 16 runs at a time"):
        studies.create(large, render=lambda study: study.id)
    study = {"id": studies.create(small, render=lambda study: study.id).resource_id}
    train(client, work, loss)
    for seed in (100, 101):
        runs.submit(run_of({**BODY, "seed": seed}), render=lambda run: run.id)
    assert sequencer.advance() == 1
    assert (study_at(client, study)["seeds"], study_at(client, study)["status"]) == ([0, 1, 2, 3], "running")
    assert "within the quota" in compare(client, study)["not_yet"]["message"]
    train(client, work, lambda *_: 1.0)
    sequencer.advance()
    assert study_at(client, study)["seeds"] == list(range(8))
    rows = client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]
    assert {run["owner"] for run in rows} == {"alice"}
    engine.dispose()


def test_seeds_are_not_added_by_hand(client: TestClient) -> None:
    study = post(client, seeds={"max": 12}).json()
    refused = client.post(f"/v1/studies/{study['id']}/seeds", json={"add": 4})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "sequential_study")
    assert "up to 12" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("seeds", "changed", "pointer", "code"),
    [
        ({"max": 6}, {}, "/seeds/max", "max_below_first"),
        ({"max": 12, "step": 0}, {}, "/seeds/step", "greater_than_equal"),
        ({"max": 0}, {}, "/seeds/max", "greater_than_equal"),
        ({"max": 12, "step": "4"}, {}, "/seeds/step", "int_type"),
        ({"max": 12, "maximum": 4}, {}, "/seeds/maximum", "extra_forbidden"),
        ({"first": 8}, {}, "/seeds/max", "missing"),
        ({"max": 5000}, {}, "", "too_many_runs"),
        ({"max": 12, "start": 2**53 - 8}, {}, "/seeds/start", "no_seeds_left"),
        ({"max": 12, "vary": ["split"]}, {}, "/seeds/vary", "seed_not_varied"),
        ({"max": 12, "vary": ["seed", "split"]}, {"folds": 2, "base": SMALL}, "/folds", "folds_and_replicates"),
        ({"max": 12}, {"arms": {"plain": {}}}, "/arms", "one_arm"),
        (8, {"min_effect": 0}, "/min_effect", "greater_than"),
    ],
)
def test_invalid_schedules_are_refused(
    client: TestClient, seeds: Any, changed: dict[str, Any], pointer: str, code: str
) -> None:
    for path in ("/v1/studies", "/v1/studies/preview"):
        answer = client.post(path, json={**STUDY, "seeds": seeds, **changed})
        assert answer.status_code == 422
        assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]


def test_preview_and_warnings_of_a_sequential_study(client: TestClient, work: Jobs) -> None:
    preview = client.post("/v1/studies/preview", json={**STUDY, "seeds": {"max": 32}}).json()
    assert (preview["runs"], preview["max_runs"], preview["warnings"]) == (16, 64, [])
    small = post(client, seeds={"max": 5, "first": 4}).json()
    assert "at least 6 pairs, and the study has 5." in small["warnings"][0]
    train(client, work, loss)
    refused = post(client, seeds={"max": 32, "start": 2})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "seeds_left_out")
    assert "Set start to 4" in refused.json()["detail"]
    more = post(client, seeds={"max": 32}).json()
    assert (more["looks"], more["looks_from"]) == (2, [small["id"]])
