"""The presets: every body is one that the service takes and the engine can train."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.catalog.presets import presets
from service.runs.bodies import run_of
from service.studies.bodies import StudyBody
from service.studies.expansion import expand
from service.studies.new_study import baseline_id
from tests.laws import colors
from tests.laws.strategies import HOME, parsed
from tests.laws.training import data_of_stack, training_of
from worker.spec.run import RunSpec

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


@pytest.mark.parametrize("name", presets())
def test_study_of_a_preset_trains_its_runs_and_compares_them_by_what_they_record(name: str) -> None:
    preset = presets()[name]
    assert preset.study is not None
    new = StudyBody.study_of(preset.study)
    arms = expand(new.plan, run_of)
    trained = [arm.run.spec for arm in arms]
    assert all(run_of(body).spec in trained for body in preset.runs.values())
    assert baseline_id(new.baseline, arms) in {arm.id for arm in arms}
    assert new.metric is not None
    for spec in trained:
        assert new.metric in recorded(spec, new.at, folds=bool(new.plan.folds))
        assert new.epoch_by is None or new.epoch_by in recorded(spec, new.at)


def recorded(spec: RunSpec, at: str, *, folds: bool = False) -> list[str]:
    """The series of a run that have a value at this epoch."""
    rows = ["train"]
    if spec.dataset.validation_rows or folds:
        rows.append("val")
    if spec.evaluate.test == "every_epoch" or (spec.evaluate.test == "last_epoch" and at == "last"):
        rows.append("test")
    if at.startswith("epoch:") and int(at.removeprefix("epoch:")) > spec.epochs:
        return []
    names = ["loss", *spec.effective_loss.metric_names, *spec.effective_loss.evaluation_names]
    return [f"{one}.{name}" for one in rows for name in names]


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_study_of_every_preset_is_accepted_and_can_decide(client: TestClient, whole: bool) -> None:
    sizes = {"cross_validation": 3 * 7 * 5 * 2, "regression": 5 * 20, "capacity_width": 12 * 8, "lenet5": 2 * 2 * 8}
    for preset in client.get("/v1/presets").json()["data"]:
        once = {field: value for field, value in preset["study"].items() if field not in ("seeds", "replicates")}
        reply = client.post("/v1/studies/preview", json=preset["study"] if whole else once)
        if reply.status_code == 422:  # only where its data are not on this machine
            assert {error["code"] for error in reply.json()["errors"]} == {"dataset_missing"}
            continue
        assert reply.status_code == 200, reply.text
        if whole:
            assert reply.json()["runs"] == sizes.get(preset["name"], reply.json()["runs"])
            assert reply.json()["warnings"] == [] or preset["study"].get("folds")  # folds choose, and test nothing


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
