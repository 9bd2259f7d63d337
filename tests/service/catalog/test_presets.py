"""The presets: every body is one that the service takes and the engine can train."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.catalog.presets import presets
from tests.laws import colors
from tests.laws.strategies import HOME, parsed
from tests.laws.training import data_of_stack, training_of

BODIES = [pytest.param(body, id=body["name"]) for preset in presets().values() for body in preset.runs.values()]


@pytest.mark.parametrize("body", BODIES)
def test_preset_runs_are_accepted_unchanged(body: dict[str, Any]) -> None:
    spec = parsed({name: value for name, value in body.items() if name != "name"})
    assert not list(spec.objections())


@pytest.mark.slow
@pytest.mark.parametrize("body", BODIES)
def test_preset_runs_train_on_few_rows(body: dict[str, Any]) -> None:
    spec = parsed({**{name: value for name, value in body.items() if name != "name"}, **few_rows(body), "epochs": 1})
    ((result,),) = training_of([spec], data_of_stack([spec])).epochs()
    assert result.epoch == 1
    assert result.metrics["train.loss"] < 0.7 + math.log(spec.dataset.outputs)


def few_rows(body: dict[str, Any]) -> dict[str, Any]:
    """A dataset of few rows that fit the model: sequences of the preset's length, images in color, or digits."""
    dataset = body["dataset"]
    if body["model"]["kind"] != "sequential":
        return {"dataset": {"kind": "digits", "train_size": 100, "validation_size": 50}}
    if dataset["kind"] not in ("modular_arithmetic", "mnist1d"):
        dataset = colors.installed(HOME, (3, 32, 32))
    return {"dataset": {**dataset, "train_size": 24, "validation_size": 8}, "batch_size": 12}


def test_presets_are_listed_and_read_one_by_one(client: TestClient) -> None:
    listed = client.get("/v1/presets").json()
    systems = {preset["system"] for preset in listed["data"]}
    assert systems >= {f"S{n}" for n in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)}
    for preset in listed["data"]:
        assert client.get(f"/v1/presets/{preset['name']}").json() == preset
    body = listed["data"][0]["runs"]["plain"]
    checked = client.post("/v1/runs?validate_only=true", json=body)
    assert checked.status_code in (200, 422)  # 422 only where FashionMNIST is not on this machine
    if checked.status_code == 422:
        assert checked.json()["errors"][0]["code"] == "dataset_missing"


def test_preset_study_has_its_arms_and_is_accepted_unchanged(client: TestClient) -> None:
    studies = [preset for preset in client.get("/v1/presets").json()["data"] if preset["study"]]
    runs = {"S15": 3 * 7 * 5 * 2, "S14": 5 * 20}
    assert [preset["system"] for preset in studies] == list(runs)
    for preset in studies:
        reply = client.post("/v1/studies/preview", json=preset["study"])
        assert reply.status_code == 200, reply.text
        assert {arm.partition(" [")[0] for arm in reply.json()["arms"]} == preset["runs"].keys()
        assert reply.json()["runs"] == runs[preset["system"]]


def test_published_figures_are_for_the_same_data_and_arms() -> None:
    of_mnist = presets()["srivastava"]
    assert of_mnist.published is not None
    assert of_mnist.published.values.keys() == of_mnist.runs.keys()
    assert sorted(of_mnist.published.values.values()) == [0.0105, 0.0125, 0.0135, 0.0155, 0.016, 0.0162]
    assert {body["dataset"]["kind"] for body in of_mnist.runs.values()} == {"mnist"}


def test_unknown_preset_is_refused_with_the_existing_ones(client: TestClient) -> None:
    answer = client.get("/v1/presets/nonsense")
    assert answer.status_code == 404
    assert answer.json()["code"] == "preset_not_found"
    assert "overfit_classifier" in answer.json()["detail"]
