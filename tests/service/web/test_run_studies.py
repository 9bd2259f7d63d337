"""The study that some runs would be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from service.runs.patches import patched
from service.runs.run import Run
from service.runs.service import Runs
from service.settings import Settings
from service.store.database import open_engine
from service.web.run_studies import merge_patch, study_of
from tests.conftest import body

VALUES = st.none() | st.integers(0, 3) | st.lists(st.integers(0, 2), max_size=2)
OBJECTS = st.dictionaries(
    st.sampled_from("abc"), VALUES | st.dictionaries(st.sampled_from("de"), VALUES, max_size=2), max_size=3
)


def without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}


@given(OBJECTS, OBJECTS)
def test_merge_patch_turns_one_spec_into_another(source: dict[str, Any], target: dict[str, Any]) -> None:
    assert without_nulls(patched(source, merge_patch(source, target))) == without_nulls(target)


@pytest.fixture
def runs(here: Settings, client: TestClient) -> Iterator[Runs]:
    """The runs that the client submits."""
    engine = open_engine(here)
    yield Runs(engine, here)
    engine.dispose()


def queued(client: TestClient, runs: Runs, *changes: dict[str, Any]) -> list[Run]:
    return [runs.get(client.post("/v1/runs?reuse=false", json=body(**one)).json()["id"]) for one in changes]


def test_study_of_replicates_has_the_specs_of_the_runs(client: TestClient, runs: Runs) -> None:
    adam = {"optimizer": {"kind": "adam", "lr": 0.01}, "regularizers": [{"kind": "l2", "strength": 0.1}]}
    arms: list[dict[str, Any]] = [{}, adam]
    replicates = queued(client, runs, *({**arm, "seed": seed} for seed in (5, 2) for arm in arms))
    study = study_of(replicates)
    assert study is not None
    assert (study["seeds"], len(study["arms"])) == ([2, 5], 2)
    created = client.post("/v1/studies?reuse=false", json=study).json()
    listed = client.get("/v1/runs", params={"study_id": created["id"]}).json()["data"]
    assert {one["spec_hash"] for one in listed} == {run.spec_hash for run in replicates}


def test_runs_that_are_not_paired_are_no_study(client: TestClient, runs: Runs) -> None:
    one, two, three = queued(client, runs, {"seed": 1}, {"seed": 2}, {"seed": 2, "epochs": 9})
    assert study_of([one]) is None
    assert study_of([one, two]) is None
    assert study_of([one, three]) is None
    assert study_of([two, three]) is not None
    assert study_of([two, two, three, three]) is None
