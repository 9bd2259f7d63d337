"""The choice over HTTP: which orders are known, what is refused, and the spec that can be sent as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.database import open_engine
from service.workers.jobs import Jobs
from tests.conftest import BODY, MigratedHome
from tests.service.studies.test_folds import train

pytestmark = pytest.mark.slow

STRENGTHS = [0.0, 0.001, 0.01, 0.1]
L2: dict[str, Any] = {"kind": "l2", "strength": 0.0}
BASE: dict[str, Any] = {**BODY, "dataset": {"kind": "digits"}, "regularizers": [L2], "epochs": 9}
GRID = {"regularizers.0.strength": STRENGTHS}


def study(client: TestClient, work: Jobs | None = None, **changed: Any) -> str:
    """A study's address; its runs are over where there is somebody to do the work."""
    answer = client.post("/v1/studies", json={"base": BASE, "grid": GRID, "folds": 5, **changed})
    assert answer.status_code == 201, answer.text
    if work is not None:
        train(client, work, loss)
    return f"/v1/studies/{answer.json()['id']}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, migrated_home: MigratedHome) -> Iterator[tuple[TestClient, str]]:
    """A finished study for tests that change nothing: its client and address."""
    settings = Settings(data_dir=migrated_home(tmp_path_factory.mktemp("choice")))
    engine = open_engine(settings)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client, study(client, Jobs(engine, settings))
    engine.dispose()


def loss(arm: str, seed: int, fold: int, epoch: int) -> float:
    """Lowest where the strength is 0.001, and nearly as low at 0.01; every other fold is best in epoch 3."""
    rise = {"0]": 6, "0.001]": 0, "0.01]": 1, "0.1]": 40}.get(arm.rpartition("strength=")[2], 0)
    return (128 + rise + 4 * fold + seed + 8 * abs(epoch - 2 - fold % 2)) / 64


def choice(client: TestClient, address: str, **query: Any) -> Any:
    answer = client.get(f"{address}/choice", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client: TestClient, address: str, **query: Any) -> tuple[int, str, str]:
    answer = client.get(f"{address}/choice", params=query)
    problem = answer.json()
    (error,) = problem["errors"] or [{"pointer": "", "code": problem["code"]}]
    return answer.status_code, error["code"], error["pointer"]


def test_strongest_arm_within_one_standard_error_is_chosen_with_a_valid_spec(client: TestClient, work: Jobs) -> None:
    address = study(client, work, seeds=2)
    result = choice(client, address, rule="one_standard_error")
    by_fold = np.array([[(128 + 4 * fold + seed) / 64 for seed in range(2)] for fold in range(5)]).mean(axis=1)
    error = by_fold.std(ddof=1) / 5**0.5
    assert result["best"] == "base [regularizers.0.strength=0.001]"
    assert result["threshold"] == pytest.approx(by_fold.mean() + error)
    best = result["arms"][1]
    assert (best["mean"], best["standard_error"]) == (pytest.approx(by_fold.mean()), pytest.approx(error))
    assert best["values"] == pytest.approx(by_fold.tolist())
    assert (result["within_one_standard_error"], result["chosen"]) == (2, "base [regularizers.0.strength=0.01]")
    assert result["simpler"] == [{"path": "regularizers.0.strength", "order": "desc", "inferred": True}]
    assert (result["spread_over"], result["folds"], result["seeds"]) == ("folds", 5, [0, 1])
    assert (result["exploratory"], result["optimistic"], result["complete"]) == (False, False, True)
    assert "2 of 4 arms" in result["explanation"]
    spec = result["chosen_spec"]
    assert "fold" not in spec["dataset"]
    assert (spec["seed"], spec["epochs"], spec["dataset"]["validation_size"]) == (0, 2, 0)
    assert spec["regularizers"] == [{**spec["regularizers"][0], "kind": "l2", "strength": 0.01}]
    run = client.post("/v1/runs", json=spec)
    assert run.status_code == 201
    assert run.json()["spec"] == spec
    assert choice(client, address)["chosen"] == result["best"]


def test_comparison_marks_the_arms_that_the_choice_is_between(finished: tuple[TestClient, str]) -> None:
    client, address = finished
    chosen = choice(client, address)
    same = {name: chosen[name] for name in ("metric", "at", "epoch_by")}
    compared = client.get(f"{address}/compare", params=same).json()
    assert compared["best"] == chosen["best"]
    within = {arm["id"]: arm["within_one_standard_error"] for arm in compared["arms"]}
    assert within == {one["arm"]: one["within_one_standard_error"] for one in chosen["arms"]}
    assert sum(within.values()) == 2
    grouped = client.get(f"{address}/compare", params={**same, "by": "regularizers.0.strength"}).json()
    assert (grouped["best"], grouped["arms"][0]["within_one_standard_error"]) == (None, None)


def test_stop_rules_on_validation_metrics_are_left_out_of_the_chosen_spec(client: TestClient, work: Jobs) -> None:
    stop = [{"kind": "early_stopping", "patience": 1}, {"kind": "max_steps", "steps": 1000}]
    address = study(client, work, base={**BASE, "stop": stop})
    for at, epochs in (("best", 2), ("last", 3), ("epoch:1", 1)):
        spec = choice(client, address, at=at)["chosen_spec"]
        assert [rule["kind"] for rule in spec["stop"]] == ["max_steps"]
        assert spec["epochs"] == epochs
        assert client.post("/v1/runs", json=spec).status_code == 201


def test_without_folds_the_spread_is_over_seeds_and_the_spec_is_the_arms(client: TestClient, work: Jobs) -> None:
    address = study(client, work, folds=None, seeds=3)
    result = choice(client, address, rule="one_standard_error")
    assert (result["spread_over"], result["folds"]) == ("seeds", None)
    assert result["arms"][1]["standard_error"] == pytest.approx(1 / 64 / 3**0.5)
    spec = result["chosen_spec"]
    assert (spec["epochs"], spec["dataset"]["validation_size"]) == (9, 288)
    run = client.post("/v1/runs", json=spec).json()
    assert (run["status"], run["reused_from"] is None) == ("succeeded", False), "the study trained it"
    single = study(client, work, folds=None, seeds=1)
    assert choice(client, single)["spread_over"] is None
    assert refused(client, single, rule="one_standard_error") == (422, "no_spread", "rule")


def test_order_is_known_only_if_a_single_strength_differs(client: TestClient, work: Jobs) -> None:
    rule = {"rule": "one_standard_error"}
    dropout = {"kind": "dropout", "p": 0.1}
    two = study(client, work, base={**BASE, "regularizers": [dropout]}, grid={"/regularizers/0/p": [0.1, 0.4]})
    assert choice(client, two, **rule)["simpler"][0]["path"] == "/regularizers/0/p"
    unknown: list[dict[str, Any]] = [
        {"arms": {"a": {}, "b": {"regularizers_add": [dropout]}}},
        {"grid": {**GRID, "optimizer.lr": [0.1, 0.2]}},
        {"grid": {"optimizer.lr": [0.1, 0.2]}},
        {
            "base": {**BASE, "regularizers": [{"kind": "max_norm", "limit": 1.0}]},
            "grid": {"regularizers.0.limit": [1.0, 2.0]},
        },
        {
            "base": {**BASE, "regularizers": [{"kind": "rotation", "degrees": 1.0}]},
            "grid": {"regularizers.0.degrees": [1.0, 2.0]},
        },
        {"grid": {"regularizers.0.kind": ["l1", "l2"]}},
    ]
    for changed in unknown:
        address = study(client, work, **{"folds": 2, **changed})
        assert refused(client, address, **rule) == (422, "no_order", "simpler")
        assert choice(client, address)["simpler"] == []
    reply = client.get(f"{study(client, work, **unknown[1])}/choice", params=rule).json()["errors"][0]
    assert reply["allowed"][:2] == ["regularizers.0.strength:desc", "regularizers.0.strength:asc"]
    one = study(client, work, grid={})
    assert choice(client, one, **rule)["chosen"] == "base"


def test_order_can_be_named_and_arms_without_the_path_rank_lower(client: TestClient, work: Jobs) -> None:
    arms = {"none": {"regularizers": []}, "weak": {}, "strong": {"regularizers": [{"kind": "l2", "strength": 0.1}]}}
    address = study(client, work, arms=arms, grid={"optimizer.lr": [0.1, 0.2]})
    rule = {"rule": "one_standard_error"}
    path = "regularizers.0.strength"
    assert choice(client, address, **rule, simpler=f"{path}:desc")["chosen"].startswith("strong")
    result = choice(client, address, **rule, simpler=[f"/{path.replace('.', '/')}:asc", "optimizer.lr:asc"])
    assert result["chosen"] == "none [optimizer.lr=0.1]"
    assert [order["inferred"] for order in result["simpler"]] == [False, False]
    both = choice(client, address, **rule, simpler=[f"{path}:desc", "optimizer.lr:desc"])
    assert both["chosen"] == "strong [optimizer.lr=0.2]"
    for simpler, code in (
        ("optimizer.lr", "no_order"),
        (":desc", "no_order"),
        ("optimizer.lr:up", "no_order"),
        ("optimizer.nothing:asc", "no_such_path"),
        ("optimizer.kind:asc", "no_number"),
        ("model.hidden:asc", "no_number"),
        ("dataset.train_size:asc", "no_number"),
    ):
        assert refused(client, address, **rule, simpler=simpler) == (422, code, "simpler")


def test_choice_on_the_test_data_needs_permission(client: TestClient, work: Jobs) -> None:
    strict = study(client, work)
    assert refused(client, strict, metric="test.loss") == (422, "test_selection", "metric")
    lenient = study(client, work, base={**BASE, "allow_test_selection": True})
    result = choice(client, lenient, metric="test.loss")
    assert (result["optimistic"], result["exploratory"]) == (True, True)
    assert not choice(client, lenient)["optimistic"]
    one = {"strict": {"allow_test_selection": False}, "lenient": {}}
    mixed = study(client, work, base={**BASE, "allow_test_selection": True}, arms=one)
    assert refused(client, mixed, metric="test.loss")[1] == "test_selection"


def test_best_epochs_by_test_loss_count_as_a_choice_on_the_test_data(client: TestClient, work: Jobs) -> None:
    nothing_held_out = {**BASE, "dataset": {"kind": "digits", "validation_size": 0}}
    address = study(client, work, base=nothing_held_out, folds=None, seeds=2)
    assert refused(client, address) == (422, "test_selection", "metric")
    assert refused(client, address, metric="train.loss") == (422, "test_selection", "at")
    assert choice(client, address, metric="train.loss", at="last")["chosen"]


def test_nothing_is_chosen_without_measurements(client: TestClient, work: Jobs) -> None:
    address = study(client)
    assert refused(client, address) == (409, "nothing_to_choose", "")
    assert "20 runs have not ended" in client.get(f"{address}/choice").json()["detail"]
    train(client, work, loss, most=19)
    assert "1 of 20 runs have not ended" in client.get(f"{address}/choice").json()["detail"]
    train(client, work, loss)
    result = choice(client, address)
    assert result["complete"]
    assert "Left out" not in result["explanation"]
    ended = study(client, seeds=[9])
    client.post(f"{ended}/cancel")
    assert refused(client, ended) == (409, "nothing_to_choose", "")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"metric": "weights.norm"}, "no_direction"),
        ({"metric": "penalty.l1"}, "no_such_series"),
        ({"at": "middle"}, "no_epoch"),
        ({"at": "epoch:" + "9" * 5000}, "no_epoch"),
        ({"simpler": "regularizers." + "9" * 5000 + ".strength:asc"}, "no_such_path"),
        ({"rule": "worst"}, "literal_error"),
        ({"simple": "x"}, "unknown_parameter"),
    ],
)
def test_invalid_questions_are_refused(finished: tuple[TestClient, str], query: dict[str, str], code: str) -> None:
    client, address = finished
    assert refused(client, address, **query)[:2] == (422, code)


def test_missing_study_is_not_found(client: TestClient) -> None:
    answer = client.get("/v1/studies/study_nothing/choice")
    assert (answer.status_code, answer.json()["code"]) == (404, "study_not_found")
