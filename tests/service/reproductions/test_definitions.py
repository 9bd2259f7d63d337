"""The published reproductions: every definition fits this server; wrong ones are refused when they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from service.reproductions import published
from service.reproductions.definition import SCALES, Reproduction, Scale
from service.reproductions.published import reproductions
from service.reproductions.rules import Figure
from service.studies.bodies import StudyBody
from service.studies.replicates import replicate_numbers
from tests.service.reproductions.planted import FIELDS, PLANTED, body, claim

NAMES = sorted(reproductions())
MIN_SEEDS = 6
"""The fewest that can decide anything."""


@pytest.mark.parametrize("name", NAMES)
def test_studies_are_accepted_and_have_the_arms_that_rules_name(name: str, client: TestClient) -> None:
    definition = reproductions()[name]
    for scale in SCALES:
        arms = {}
        for study in definition.studies[scale]:
            response = client.post("/v1/studies/preview", json=definition.study_body(scale, study))
            if response.status_code == 422:
                assert {one["code"] for one in response.json()["errors"]} == {"dataset_missing"}, response.text
                arms[study] = set(StudyBody.study_of(definition.studies[scale][study]).plan.arms)
                continue
            assert response.status_code == 200, response.text
            preview = response.json()
            arms[study] = {*preview["arms"], *definition.studies[scale][study].get("tune", {}).get("arms", ())}
            assert replicates(definition.studies[scale][study]) >= MIN_SEEDS, study
        for key, one in definition.claims_at(scale).items():
            assert set(one.rule.named_arms) <= arms.get(one.rule.study, set(one.rule.named_arms)), key


@pytest.mark.parametrize("scale", SCALES)
def test_comparison_on_mnist_is_refused_with_the_command_that_brings_mnist(scale: Scale, client: TestClient) -> None:
    path = "/v1/reproductions/srivastava2014"
    response = client.post(path, json={"scale": scale})
    (error,) = response.json()["errors"]
    assert (response.status_code, error["code"]) == (422, "dataset_missing")
    assert "fitwell data fetch mnist" in error["message"]
    assert error["message"] == client.get(path).json()["scales"][scale]["missing"]
    assert not client.get("/v1/studies").json()["data"]


def replicates(study: Mapping[str, Any]) -> int:
    """Return the number of replicates of every arm, as the body of a study has them."""
    new = StudyBody.study_of(study)
    if new.tune is not None:
        return new.tune.schedule.max
    return new.schedule.max if new.schedule is not None else len(replicate_numbers(new.request, new.plan.seeds))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", NAMES)
def test_no_two_studies_of_a_scale_share_runs(name: str, scale: Scale, client: TestClient) -> None:
    """A shared run would count as a second look, at half the significance level."""
    definition = reproductions()[name]
    for study in definition.studies[scale]:
        response = client.post("/v1/studies", json=definition.study_body(scale, study))
        if response.status_code == 201:
            assert response.json()["looks"] == 1, study


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_complete(name: str) -> None:
    definition = reproductions()[name]
    assert name.isidentifier()
    assert name == name.lower()
    for text in (definition.title, definition.question, definition.deviations, definition.source.title):
        assert text.strip() == text != ""
    assert definition.question.endswith("?")
    assert all(one.statement.endswith(".") and one.expected for one in definition.claims.values())


def test_reproductions_come_from_the_folder() -> None:
    files = [path for folder in published.__path__ for path in Path(folder).glob("*.py")]
    packages = [path.parent for folder in published.__path__ for path in Path(folder).glob("*/__init__.py")]
    assert sorted(path.stem for path in [*files, *packages] if path.stem != "__init__") == NAMES


def test_package_is_one_reproduction_and_a_module_without_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "whole"
    package.mkdir()
    (package / "__init__.py").write_text("from tests.service.reproductions.planted import PLANTED as REPRODUCTION\n")
    (package / "part.py").write_text("")
    monkeypatch.setattr(published, "__path__", [str(tmp_path)])
    assert published.reproductions.__wrapped__() == {"whole": PLANTED}
    (tmp_path / "nothing.py").write_text("")
    with pytest.raises(TypeError, match="nothing"):
        published.reproductions.__wrapped__()


@pytest.mark.parametrize(
    "changes",
    [
        {"studies": {"quick": {"one": body()}}},
        {"studies": {"quick": {"one": body()}, "full": {}}},
        {"studies": {"quick": {"one": body()}, "full": {"other": body()}}},
        {"studies": {scale: {"one": {**body(), "seeds": {"max": 16}}} for scale in SCALES}},
        {"claims": {}},
        {"nonsense": 1},
    ],
)
def test_contradictory_definition_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Reproduction(**{**FIELDS, **changes})


def test_results_belong_to_exactly_the_studies_and_claims_of_a_scale() -> None:
    other = claim(Figure(study="one", arm="plain", value=9.0, tolerance=1.0))
    changed = PLANTED.model_copy(update={"claims": {**PLANTED.claims, "figure": other}})
    renamed = PLANTED.model_copy(update={"title": "Another title"})
    assert PLANTED.digest("quick") == renamed.digest("quick")
    assert len({PLANTED.digest("quick"), PLANTED.digest("full"), changed.digest("quick")}) == 3
