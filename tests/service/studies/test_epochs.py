"""The epoch at which arms are compared, and the metric that chooses it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import BODY
from tests.service.studies.training import DROPOUT, compare, post, some_loss, train

pytestmark = pytest.mark.slow


def test_epochs_are_chosen_on_other_rows_than_those_that_judge(client: TestClient, work: Jobs) -> None:
    study = post(client).json()
    train(client, work, some_loss)  # the lowest losses are in epoch 2, the highest val.accuracy in epoch 3

    def answer(**query: Any) -> tuple[Any, ...]:
        result = compare(client, study, **query)
        return result["metric"], result["epoch_by"], result["optimistic"], result["exploratory"]

    assert answer() == ("test.loss", "val.loss", False, False)
    assert answer(metric="val.loss") == ("val.loss", "val.loss", True, True)
    assert answer(epoch_by="val.accuracy") == ("test.loss", "val.accuracy", False, True)
    assert answer(epoch_by="test.loss") == ("test.loss", "test.loss", True, True)
    assert answer(at="last") == ("test.loss", None, False, True)
    mean = compare(client, study, epoch_by="val.accuracy")["arms"][0]["mean"]
    assert mean == pytest.approx(np.mean([some_loss("plain", seed, 3) for seed in range(8)]))

    choice = client.get(f"/v1/studies/{study['id']}/choice").json()
    assert [choice[name] for name in ("metric", "epoch_by", "exploratory")] == ["val.loss", "val.loss", False]
    choice = client.get(f"/v1/studies/{study['id']}/choice", params={"metric": "val.accuracy"}).json()
    assert (choice["epoch_by"], choice["exploratory"]) == ("val.accuracy", True)
    for query, code in (
        ({"at": "last", "epoch_by": "val.loss"}, "epoch_not_chosen"),
        ({"epoch_by": "weights.norm"}, "no_direction"),
        ({"epoch_by": "val.error"}, "no_such_series"),
    ):
        for path in ("compare", "choice"):
            refusal = client.get(f"/v1/studies/{study['id']}/{path}", params=query)
            assert [(e["code"], e["pointer"]) for e in refusal.json()["errors"]] == [(code, "epoch_by")], refusal.text


def test_arms_are_compared_by_the_number_of_epochs_trained(client: TestClient, work: Jobs) -> None:
    study = post(client, arms={"plain": {}, "dropout": DROPOUT, "longer": {"epochs": 4}}).json()
    train(client, work, some_loss, epochs=lambda arm: {"plain": 3, "dropout": 2, "longer": 4}[arm])
    compared = compare(client, study, metric="epochs", at="last")
    assert {arm["id"]: arm["mean"] for arm in compared["arms"]} == {"plain": 3, "dropout": 2, "longer": 4}
    assert {pair["arm"]: pair["verdict"] for pair in compared["pairs"]} == {"dropout": "better", "longer": "worse"}
    best = compare(client, study, metric="epochs", at="best")
    assert {arm["mean"] for arm in best["arms"]} == {2}


@pytest.mark.parametrize(
    ("changed", "metric"),
    [
        ({}, "test.loss"),
        ({"at": "last"}, "val.loss"),
        ({"folds": 5, "base": {**BODY, "dataset": {"kind": "digits"}}}, "val.loss"),
        ({"epoch_by": "test.loss"}, "val.loss"),
        ({"base": {**BODY, "evaluate": {"test": "last_epoch"}}}, "val.loss"),
        ({"base": {**BODY, "dataset": {"kind": "digits", "validation_size": 0}}}, "test.loss"),
    ],
)
def test_default_metric_is_on_rows_that_do_not_choose_the_epoch(
    client: TestClient, changed: dict[str, Any], metric: str
) -> None:
    study = post(client, seeds=1, **changed).json()
    assert (study["metric"], study["epoch_by"]) == (metric, changed.get("epoch_by"))


def test_epoch_by_without_a_choice_of_epochs_is_refused(client: TestClient) -> None:
    (error,) = post(client, at="last", epoch_by="val.loss").json()["errors"]
    assert (error["pointer"], error["code"]) == ("/epoch_by", "epoch_not_chosen")
