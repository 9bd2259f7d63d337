"""Tuned studies: equal budgets, the frozen choice, its confirmation on other seeds, and the sealed test part."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.runs.bodies import run_of
from service.runs.queries.runs import is_sealed
from service.settings import Settings
from service.store.database import open_engine, reading
from service.studies import queries
from service.studies.bodies import StudyBody
from service.studies.creation import run_bodies
from service.studies.expansion import expand
from service.studies.frozen_choice import confirmation_request, edges
from service.studies.sequencer import Sequencer
from service.studies.service import Studies
from service.studies.tuner import Tuner
from service.studies.tuning import tuning_warnings
from service.workers.jobs import Jobs
from tests.conftest import BODY
from tests.service.studies.test_sequential import study_ends
from tests.service.studies.training import DROPOUT, compare, train
from worker.spec.canonical import sha256_of

LR = {"distribution": "log_uniform", "low": 0.01, "high": 1.0}
CHOICE = {"distribution": "choice", "values": ["a", "b"]}
P = {"distribution": "uniform", "low": 0.1, "high": 0.6}
PARTS = {"distribution": "choice", "values": [{"kind": "sgd", "lr": rate} for rate in (0.1, 0.2, 0.3, 0.4, 0.5)]}
TUNE: dict[str, Any] = {
    "budget": 4,
    "space": {"optimizer.lr": LR},
    "arms": {"plain": {}, "dropout": {**DROPOUT, "space": {"regularizers.0.p": P}}},
    "search": {"replicates": 2},
    "confirm": {"max": 16, "first": 12},
}
TUNED: dict[str, Any] = {"name": "tuned", "base": BODY, "tune": TUNE}


def tuned(**changed: Any) -> dict[str, Any]:
    return {**TUNED, "tune": {**TUNE, **changed}}


def loss(arm: str, seed: int, epoch: int) -> float:
    """Return a loss that is lowest at the largest learning rate, and lower with dropout once it is confirmed."""
    (rate,) = [float(part.split("=")[1].strip("]")) for part in arm.split(", ") if "lr=" in part] or [0.1]
    if "diverges" in arm or rate > 0.9:
        return math.nan
    confirmed = (4 + seed % 3) * (arm == "dropout")
    return (16 + seed % 5 + abs(epoch - 2) - confirmed) / 8 + abs(math.log(rate / 0.3)) / 8


class Machinery:
    """The background tasks of a server, taken step by step."""

    def __init__(self, settings: Settings) -> None:
        self.engine = open_engine(settings)
        self.sequencer = Sequencer(self.engine, settings, StudyBody.plan_of)
        self.tuner = Tuner(self.engine, settings, Studies(self.engine, settings, run_of), StudyBody.study_of)


@pytest.fixture
def here(on_sqlite: Settings) -> Settings:
    return on_sqlite.model_copy(update={"look_seconds": 3600.0})


@pytest.fixture
def machinery(here: Settings, client: TestClient) -> Iterator[Machinery]:
    machinery = Machinery(here)
    yield machinery
    machinery.engine.dispose()


def post(client: TestClient, body: Any = TUNED) -> Any:
    answer = client.post("/v1/studies", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def study_at(client: TestClient, study_id: str) -> Any:
    return client.get(f"/v1/studies/{study_id}").json()


@pytest.mark.slow
def test_search_freezes_a_choice_that_other_seeds_and_splits_confirm(
    client: TestClient, work: Jobs, machinery: Machinery
) -> None:
    study = post(client)
    path = f"/v1/studies/{study['id']}"
    assert (study["metric"], study["splits"], study["tune"]["phase"]) == ("val.loss", [0, 1], "searching")
    assert study["tune"]["spent"] == [
        {"arm": name, "trials": 4, "runs": 8, "ended": 0} for name in ("plain", "dropout")
    ]
    rates = {
        name: [arm["values"]["optimizer.lr"] for arm in study["arms"] if arm["name"] == name] for name in TUNE["arms"]
    }
    assert rates["plain"] == rates["dropout"]
    runs = client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]
    assert {run["spec"]["evaluate"]["test"] for run in runs} == {"never"}
    assert machinery.tuner.advance() == 0

    train(client, work, loss)
    sealed = client.get(f"{path}/compare", params={"metric": "test.loss"})
    assert (sealed.status_code, sealed.json()["code"], client.get(f"{path}/choice").status_code) == (409, "sealed", 409)
    rows = {"split": "test", "indices": [0]}
    clone = client.post(f"/v1/runs/{runs[0]['id']}/clone", json={}).json()  # has the same model
    answers = [client.post(f"/v1/runs/{run['id']}/predict", json=rows).json() for run in (runs[0], clone)]
    assert [answer["code"] for answer in answers] == ["sealed", "sealed"]
    now = study_at(client, study["id"])
    assert (compare(client, study)["not_yet"]["code"], now["status"]) == ("searching", "running")
    assert [machinery.tuner.advance() for _ in range(2)] == [2, 0]

    now = study_at(client, study["id"])
    choice = now["tune"]["choice"]
    assert (now["status"], now["tune"]["phase"], now["tune"]["sha256"]) == ("running", "confirming", sha256_of(choice))
    below = sorted(rate for rate in rates["plain"] if rate <= 0.9)
    nearest = min(below, key=lambda rate: abs(math.log(rate / 0.3)))
    assert [arm["values"]["optimizer.lr"] for arm in choice] == [nearest, nearest]
    confirmation = study_at(client, now["tune"]["confirmation_id"])
    assert (confirmation["confirms"], confirmation["seeds"]) == (study["id"], list(range(2, 14)))
    assert (confirmation["metric"], confirmation["epoch_by"], confirmation["baseline"]) == (
        "test.loss", "val.loss", "plain",
    )  # fmt: skip
    specs = {
        run["arm"]: run["spec"]
        for run in client.get("/v1/runs", params={"study_id": confirmation["id"], "limit": 100}).json()["data"]
    }
    for arm in choice:
        trial = next(run["spec"] for run in runs if run["arm"] == arm["trial"])
        other = specs[arm["arm"]]
        assert (other["evaluate"]["test"], other["dataset"]["split_seed"]) == ("every_epoch", other["seed"])
        same = {key: value for key, value in trial.items() if key not in ("seed", "evaluate", "dataset")}
        assert {key: other[key] for key in same} == same

    train(client, work, loss)
    assert (machinery.sequencer.advance(), machinery.tuner.advance()) == (1, 1)
    ended = study_at(client, study["id"])
    assert (ended["status"], ended["terminal"], ended["tune"]["phase"]) == ("finished", True, "done")
    result = compare(client, study)
    assert (result["study_id"], result["pairs"][0]["verdict"]) == (confirmation["id"], "better")
    gaps = {gap["arm"]: gap for gap in ended["tune"]["gaps"]}
    assert gaps["dropout"]["gap"] == gaps["dropout"]["confirmation"] - choice[1]["mean"] < 0
    dataset = client.get("/v1/datasets/digits").json()
    assert (ended["tune"]["test_openings"], dataset["test_openings"]) == ({dataset["sha256"]: 1}, 1)
    events = [event["type"] for event in client.get("/v1/events", params={"limit": 1000}).json()["data"]]
    assert [one for one in events if one.startswith("study.")] == [
        "study.frozen", "study.confirming", "study.look", "study.tuned",
    ]  # fmt: skip
    pages = [client.get(f"/studies/{study['id']}{page}").text for page in ("", "/report")]
    assert all("The choice was confirmed on other seeds and splits" in page for page in pages)
    deleted = client.delete(path), client.get(f"/v1/studies/{confirmation['id']}")
    assert [answer.status_code for answer in deleted] == [204, 404]


@pytest.mark.slow
def test_several_services_take_every_step_once(client: TestClient, work: Jobs, here: Settings) -> None:
    study = post(client)
    train(client, work, loss)
    machineries = [Machinery(here) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda one: one.tuner.advance(), machineries))
    with reading(machineries[0].engine) as connection:
        assert set(queries.confirmations(connection, [study["id"]])) == {study["id"]}
    for one in machineries:
        one.engine.dispose()
    assert sum(counts) == 2
    assert len(client.get("/v1/studies").json()["data"]) == 2
    for page in ("", "/report"):  # no gaps yet
        assert "The choice is frozen" in client.get(f"/studies/{study['id']}{page}").text


@pytest.mark.slow
def test_cancelled_and_hopeless_studies_stop(
    client: TestClient, work: Jobs, machinery: Machinery, here: Settings
) -> None:
    cancelled = post(client)
    assert client.post(f"/v1/studies/{cancelled['id']}/cancel").status_code == 202
    assert client.post(f"/v1/studies/{cancelled['id']}/cancel").status_code == 200
    hopeless = post(client, {**tuned(arms={"plain": {}, "diverges": DROPOUT}), "name": "hopeless"})
    deleted = post(client, {**tuned(search={"replicates": 3}), "name": "deleted"})
    train(client, work, loss)
    (run, *_) = client.get("/v1/runs", params={"study_id": deleted["id"]}).json()["data"]
    assert client.delete(f"/v1/runs/{run['id']}").status_code == 204
    assert machinery.tuner.advance() == 2
    studies = (cancelled, hopeless, deleted)
    assert [study_ends(client, here, one)[0] for one in studies] == 3 * ["study.tuned"]
    now = [study_at(client, one["id"]) for one in studies]
    assert [(one["status"], one["tune"]["phase"]) for one in now] == 3 * [("finished", "stopped")]
    assert "1 of 24 runs were deleted" in now[2]["tune"]["stop_reason"]
    with reading(machinery.engine) as connection:
        assert all(is_sealed(connection, queries.newest_run(connection, one["id"]) or "") for one in studies)
    early = client.get(f"/v1/studies/{deleted['id']}/compare", params={"metric": "test.loss"}).json()
    assert (early["code"], "does not exist: 1 of 24" in early["detail"]) == ("sealed", True)
    assert "Submit it again" in now[0]["tune"]["stop_reason"]
    assert "No trial of arm 'diverges' can be chosen" in now[1]["tune"]["stop_reason"]


@pytest.mark.slow
def test_one_standard_error_prefers_the_strongest_regularizer(
    client: TestClient, work: Jobs, machinery: Machinery
) -> None:
    strengths = {"distribution": "log_uniform", "low": 0, "high": 0.1}
    l2 = {"regularizers_add": [{"kind": "l2", "strength": 0.1}], "space": {"regularizers.0.strength": strengths}}
    study = post(client, tuned(arms={"plain": {}, "l2": l2}, search={"replicates": 2, "select": "one_standard_error"}))
    assert any("worse than their best" in one for one in study["warnings"])
    train(client, work, lambda arm, seed, _: 1.0 + seed / 8)
    assert machinery.tuner.freeze(study["id"])
    assert "needs room for 24 runs" in study_at(client, study["id"])["warnings"][0]
    assert machinery.tuner.advance() == 1
    choice = study_at(client, study["id"])["tune"]["choice"]
    tried = [arm["values"].get("regularizers.0.strength", 0) for arm in study["arms"]]
    assert [arm["trial"] for arm in choice] == [study["arms"][0]["id"], study["arms"][tried.index(max(tried))]["id"]]
    edge = choice[1]["edges"][-1]
    assert (edge["path"], edge["end"], choice[1]["best"]) == ("regularizers.0.strength", "high", study["arms"][4]["id"])


def test_trial_without_a_value_on_some_replicate_is_not_chosen(
    client: TestClient, work: Jobs, machinery: Machinery
) -> None:
    study = post(client)
    lucky = study["arms"][1]["id"]
    train(client, work, lambda arm, seed, _: 1.0 if arm != lucky else (0.1, math.inf)[seed])
    assert machinery.tuner.freeze(study["id"])
    plain, _ = study_at(client, study["id"])["tune"]["choice"]
    assert (plain["trial"] != lucky, plain["mean"], plain["trials"]) == (True, 1.0, TUNE["budget"] - 1)


def test_confirmation_has_the_specs_of_the_chosen_trials() -> None:
    """The body of the confirmation, which merges patches, loses no field of the trials."""
    rich = {"schedule": {"kind": "cosine"}, "stop": [{"kind": "early_stopping", "metric": "val.loss"}]}
    changed = {"optimizer": {"kind": "adam", "lr": 0.1}, "dataset": {"normalize": {"mean": 0.1, "std": 2.0}}, **DROPOUT}
    body = {"name": 200 * "n", "base": {**BODY, **rich, "labels": {"a": "b"}}}
    body["tune"] = {"budget": 2, "space": {"optimizer.lr": LR}, "arms": {"plain": {}, "changed": changed}}
    new = StudyBody.study_of(body)
    arms = {arm.id: arm for arm in expand(new.plan, run_of)}
    names = {arm.name: arm.id for arm in arms.values()}
    choice = [{"arm": name, "trial": trial} for name, trial in names.items()]
    study: Any = SimpleNamespace(
        id="study_0", name=body["name"], at="best", request=new.request, tuning={"choice": choice}
    )
    plan = StudyBody.study_of(confirmation_request(study, run_bodies(list(arms.values())))).plan
    for arm in expand(plan, run_of):
        trial = arms[names[arm.name]].run
        measured = trial.spec.model_copy(update={"evaluate": arm.run.spec.evaluate})
        assert (arm.run.spec, arm.run.metadata) == (measured, trial.metadata)
        assert arm.run.spec.evaluate.test == "every_epoch"


def test_preview_and_warnings(client: TestClient) -> None:
    preview = client.post("/v1/studies/preview", json=TUNED).json()
    assert (preview["runs"], preview["max_runs"], preview["warnings"]) == (16, 48, [])
    few = {"confirm": {"max": 5, "first": 4, "metric": "val.loss"}}
    warnings = client.post("/v1/studies/preview", json=tuned(**few)).json()["warnings"]
    assert ["at least 6 pairs" in warnings[0], "rows of other splits" in warnings[1]] == [True, True]
    body = tuned(arms={"plain": {"space": {"optimizer.lr": {**LR, "high": 0.5}}}, "dropout": DROPOUT})
    tune = StudyBody.study_of(body).tune
    assert tune is not None
    unequal, often = tuning_warnings(tune, {"sha256:0": 19, "sha256:1": 20})
    assert (unequal[:26], often[:20]) == ("Arms tune optimizer.lr ove", "20 studies have judg")
    assert len(tuning_warnings(tune, {"sha256:0": 19})) == 1


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"budget": 1}, "/tune/budget", "budget_of_one"),
    ({"budget": 5, "search": {"method": "grid"}, "space": {"optimizer.lr": LR, "optimizer.momentum": P},
      "arms": {"a": {}, "b": DROPOUT}}, "/tune/budget", "no_grid"),
    ({"search": {"method": "grid"}}, "/tune/budget", "no_grid"),
    ({"arms": {"plain": {}}}, "/tune/arms", "one_arm"),
    ({"space": {}}, "/tune/arms/plain", "nothing_to_tune"),
    ({"space": {}, "arms": {"plain": {"space": {"optimizer.momentum": P}}, "b": {"space": {"optimizer.lr": LR}}}},
     "/tune/arms/plain", "unequal_spaces"),
    ({"space": {"batch_size": {"distribution": "choice", "values": [16, 32]}}}, "/tune/budget", "space_too_small"),
    ({"space": {"optimizer.lr": LR, "epochs": {"distribution": "integers", "low": 1, "high": 10**400}}},
     "/tune/space/epochs", "less_than_equal"),
    ({"space": {"optimizer.rate": LR}}, "/tune/space/optimizer.rate", "no_such_path"),
    ({"space": {"optimizer.lr": {**P, "low": -1, "high": -0.5}}}, "/tune/space/optimizer.lr", "greater_than"),
    ({"arms": {"plain": {}, "b": {"epochs": 0}}}, "/tune/arms/b/epochs", "greater_than_equal"),
    ({"arms": {"plain": {}, "b": {"seed": 1}}}, "/tune/arms/b/seed", "seed_elsewhere"),
    ({"arms": {"plain": {}, "b": {"dataset": {"fold": 1}}}}, "/tune/arms/b/dataset/fold", "split_elsewhere"),
    ({"arms": {"plain": {}, "b": {"evaluate": {"test": "last_epoch"}}}}, "/tune/arms/b/evaluate/test", "sealed"),
    ({"arms": {"plain": {}, "b": {"evaluate": None}}}, "/tune/arms/b/evaluate", "sealed"),
    ({"space": {"optimizer.lr": LR, "/evaluate/test": CHOICE}}, "/tune/space/~1evaluate~1test", "sealed"),
    ({"search": {"metric": "test.loss"}}, "/tune/search/metric", "sealed"),
    ({"search": {"metric": "train.loss"}}, "/tune/search/metric", "not_on_validation"),
    ({"search": {"metric": "val.time"}}, "/tune/search/metric", "no_direction"),
    ({"search": {"metric": "val.loss\n"}}, "/tune/search/metric", "no_direction"),
    ({"search": {"metric": "val.rmse"}}, "/tune/search/metric", "no_series"),
    ({"confirm": {"metric": "test.rmse"}}, "/tune/confirm/metric", "no_series"),
    ({"confirm": {"epoch_by": "val.r2"}}, "/tune/confirm/epoch_by", "no_series"),
    ({"space": {"optimizer.lr": {**LR, "low": 0, "high": 1e-306}}}, "/tune/space/optimizer.lr", "value_error"),
    ({"space": {"optimizer.lr": {**P, "low": -1e308, "high": 1e308}}}, "/tune/space/optimizer.lr", "value_error"),
    ({"space": {"optimizer.lr": {**P, "q": 1}}}, "/tune/space/optimizer.lr/q", "extra_forbidden"),
    ({"space": {"optimizer.lr": {"low": 0}}}, "/tune/space/optimizer.lr", "union_tag_not_found"),
    ({"space": {"optimizer.lr": {"distribution": "normal"}}}, "/tune/space/optimizer.lr/distribution",
     "union_tag_invalid"),
    ({"space": {"optimizer.lr": LR, "/optimizer/lr": LR}}, "/tune/space/optimizer.lr", "path_replaced"),
    ({"space": {"optimizer.lr": LR, "optimizer": PARTS}}, "/tune/space/optimizer.lr", "path_replaced"),
    ({"space": {"optimizer": PARTS, "optimizer.momentum": P}}, "/tune/space/optimizer.momentum", "no_such_path"),
    ({"search": {"replicates": 1, "select": "one_standard_error"}}, "/tune/search/replicates", "too_few_replicates"),
    ({"confirm": {"max": 4}}, "/tune/confirm/max", "max_below_first"),
    ({"confirm": {"start": 1}}, "/tune/confirm/start", "seeds_reused"),
    ({"confirm": {"vary": ["seed"], "metric": "val.loss"}}, "/tune/confirm/metric", "rows_reused"),
    ({"confirm": {"epoch_by": "test.loss"}}, "/tune/confirm/epoch_by", "test_selection"),
    ({"confirm": {"max": 5000}}, "", "too_many_runs"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "pointer", "code"), REFUSED)
def test_invalid_tuned_studies_are_refused(
    client: TestClient, changed: dict[str, Any], pointer: str, code: str
) -> None:
    answer = client.post("/v1/studies/preview", json=tuned(**changed))
    assert answer.status_code == 422
    assert {(error["pointer"], error["code"]) for error in answer.json()["errors"]} == {(pointer, code)}


def test_fields_that_tuning_replaces_are_refused(client: TestClient) -> None:
    body = {**TUNED, "seeds": 4, "min_effect": 0.1, "baseline": "none"}
    errors = client.post("/v1/studies", json=body).json()["errors"]
    assert [(error["pointer"], error["code"]) for error in errors] == [
        ("/seeds", "tuned_elsewhere"), ("/min_effect", "tuned_elsewhere"), ("/baseline", "no_such_arm"),
    ]  # fmt: skip
    unvalidated = copy.deepcopy(TUNED)
    unvalidated["base"]["dataset"]["validation_size"] = 0
    refused = client.post("/v1/studies", json=unvalidated).json()["errors"]
    assert [error["code"] for error in refused] == ["no_validation"]
    late = client.post("/v1/studies", json={**TUNED, "at": "epoch:10000"}).json()["errors"]
    assert [(error["pointer"], error["code"]) for error in late] == [("/at", "no_epoch")]
    del unvalidated["base"]["dataset"]["train_size"]
    refused = client.post("/v1/studies", json=unvalidated).json()["errors"]
    assert {(error["pointer"], error["code"]) for error in refused} == {("/tune/confirm/vary", "split_not_variable")}


def test_chosen_values_at_an_edge_name_the_end_to_widen() -> None:
    space = StudyBody.study_of(tuned(space={"optimizer.lr": LR, "x": P, "zero": {**P, "low": 0}, "word": CHOICE})).tune
    assert space is not None
    points = [{"optimizer.lr": rate, "x": 0.3 - rate, "zero": rate, "word": "a"} for rate in (0.02, 0.1, 0.2)]
    ends = [[(edge.path, edge.end) for edge in edges(point, points, space.space)] for point in points]
    assert ends == [
        [("optimizer.lr", "low"), ("x", "high")],
        [],
        [("optimizer.lr", "high"), ("x", "low"), ("zero", "high")],
    ]
    lowest = edges(points[0], points, space.space)[0]
    assert lowest.message.startswith("0.02 is the smallest of the values tried for optimizer.lr.")
    assert lowest.message.endswith("lower low below 0.01.")


def test_shared_parameters_have_the_same_values_in_every_arm() -> None:
    for method in ("sobol", "random", "grid"):
        body = tuned(search={"method": method}, arms={"a": {}, "b": {"epochs": 4}}, budget=9)
        if method != "grid":
            body["tune"]["arms"]["c"] = {"space": {"batch_size": {"distribution": "integers", "low": 8, "high": 64}}}
        plan = StudyBody.study_of(json.loads(json.dumps(body))).plan
        rates = [[point["optimizer.lr"] for point in points] for points in plan.trials.values()]
        assert all(len(set(one)) == 9 and one == rates[0] for one in rates)
