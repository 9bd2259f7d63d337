"""The schemas for editors against another implementation of JSON Schema, and against what the service takes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from fastapi.testclient import TestClient

from service.catalog.editor_schemas import run_schema, study_schema
from service.catalog.presets import presets
from service.errors import SpecRefused
from service.runs.bodies import RunBody, run_of
from service.studies.bodies import StudyBody
from service.studies.expansion import expand
from tests.conftest import body

EXAMPLES = Path(__file__).parents[3] / "examples"
RUN, STUDY = (jsonschema_rs.Draft202012Validator(schema()) for schema in (run_schema, study_schema))
OF = {"run": RUN, "study": STUDY}
BODIES = {one["name"]: one for preset in presets().values() for one in preset.runs.values()}


@pytest.mark.parametrize(("name", "schema"), [("run", run_schema()), ("study", study_schema())])
def test_schema_is_draft_2020_12_with_an_id_and_served_unchanged(
    name: str, schema: dict[str, Any], client: TestClient
) -> None:
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:fitwell:schema:{name}"
    assert client.get(f"/v1/schema/{name}.json").json() == json.loads(json.dumps(schema))


def fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Every field: its place, its schema, and whether it is required."""
    for title, one in [(schema["title"], schema), *schema["$defs"].items()]:
        for name, field in one.get("properties", {}).items():
            if isinstance(field, dict):
                yield f"{title}.{name}", field, name in one.get("required", ())


@pytest.mark.parametrize("schema", [run_schema(), study_schema()], ids=["run", "study"])
def test_every_field_is_described_and_has_its_default(schema: dict[str, Any]) -> None:
    for place, field, required in fields(schema):
        assert field.get("description"), place
        piece = place.partition(".")[0].endswith(("Patch", "Piece", "Base", "Arm"))
        assert required or piece or "default" in field, place


def test_examples_name_their_schema_and_validate() -> None:
    files = sorted(set(EXAMPLES.glob("*.yaml")) - {EXAMPLES / "openapi-python-client.yaml"})
    assert len(files) >= 2
    for file in files:
        line = next(line for line in file.read_text().splitlines() if "yaml-language-server" in line)
        name = line.partition("/v1/schema/")[2].removesuffix(".json")
        assert line == f"# yaml-language-server: $schema=http://127.0.0.1:8000/v1/schema/{name}.json"
        OF[name].validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize("expected", BODIES.values(), ids=BODIES)
def test_presets_validate_also_as_arms_of_a_study(expected: dict[str, Any]) -> None:
    RUN.validate(expected)
    without_seed = {name: value for name, value in expected.items() if name != "seed"}
    STUDY.validate({"base": without_seed, "arms": {"plain": {}, "again": without_seed}, "seeds": 3})


@pytest.mark.parametrize("name", presets())
def test_studies_of_presets_validate(name: str) -> None:
    STUDY.validate(presets()[name].study)


def changed(expected: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """The body with something else at a place."""
    other = copy.deepcopy(expected)
    *parents, last = place.split(".")
    here: Any = other
    for step in parents:
        here = here[int(step)] if isinstance(here, list) else here[step]
    if isinstance(here, list):
        here[int(last)] = value
    else:
        here[last] = value
    return other


WHOLE = body(
    regularizers=[{"kind": "dropout", "p": 0.4}, {"kind": "l2", "strength": 1e-5}],
    schedule={"kind": "cosine"},
    stop=[{"kind": "early_stopping", "metric": "val.loss", "patience": 3}],
    evaluate={"test": "last_epoch"},
    labels={"a": "b"},
)
WRONG = [
    ("dataset", {}), ("dataset", None), ("dataset.kind", "digts"), ("dataset.train_size", "100"), ("model", "mlp"),
    ("model.hiden", [3]), ("model.hidden", []), ("model.hidden.0", 0), ("model.hidden.0", 1.5),
    ("optimizer", {"kind": "sgd"}), ("optimizer.lr", "0.1"), ("optimizer.lr", -1), ("optimizer.kind", "adma"),
    ("regularizers", {"kind": "l2"}), ("regularizers.0.p", 1.5), ("regularizers.1.p", 0.5), ("regularizers.0.kind", 3),
    ("schedule.kind", "cosin"), ("stop.0.patience", 0), ("evaluate.test", "sometimes"), ("evaluate", True),
    ("epochs", 0), ("epochs", 2.5), ("epochs", 10**30), ("batch_size", "half"), ("seed", -1), ("device", "abacus"),
    ("labels", {"a": 1}), ("priority", 10_000), ("surprise", 1), ("precision", "float16"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), WRONG)
def test_run_schema_refuses_every_spec_that_the_service_refuses(place: str, value: Any) -> None:
    wrong = changed(WHOLE, place, value)
    RUN.validate(WHOLE)
    assert not RUN.is_valid(wrong)
    with pytest.raises(ValueError, match=r"validation error"):
        RunBody.model_validate_json(json.dumps(wrong))


BASE = {key: value for key, value in WHOLE.items() if key != "seed"}
RIGHT_STUDIES: list[dict[str, Any]] = [
    {"base": BASE},
    {"base": BASE, "arms": {"a": {}, "b": {"optimizer": {"lr": 0.5}}, "c": {"model": {"hidden": [4]}}}, "seeds": [1]},
    {"base": BASE, "arms": {"adam": {"optimizer": {"kind": "adam"}}, "none": {"stop": None, "schedule": None}}},
    {"base": BASE, "arms": {"more": {"regularizers_add": [{"kind": "l1", "strength": 1e-6}], "regularizers": []}}},
    {"base": {**BASE, "optimizer": {"kind": "momentum", "lr": 0.1, "momentum": 0.8}},
     "arms": {"sgd": {"optimizer": {"kind": "sgd", "momentum": None}}}},
    {"base": {key: BASE[key] for key in ("dataset", "model")}, "arms": {"sgd": {"optimizer": BASE["optimizer"]}}},
    {"base": {**BASE, "optimizer": {"kind": "sgd"}}, "arms": {"slow": {"optimizer": {"lr": 0.01}}}},
    {"base": BASE, "arms": {"big": {"dataset": {"kind": "digits", "normalize": {"mean": 0.5, "std": 1.0}}}}},
    {"base": BASE, "grid": {"optimizer.lr": [0.1, 0.2], "/regularizers/0/p": [0.1]}, "seeds": 4, "at": "last"},
    {"base": BASE, "sample": {"n": 3, "space": {"optimizer.lr": {"distribution": "uniform", "low": 0.1, "high": 1.0}}}},
]  # fmt: skip


@pytest.mark.parametrize("study", RIGHT_STUDIES, ids=range(len(RIGHT_STUDIES)))
def test_study_that_the_service_accepts_validates(study: dict[str, Any]) -> None:
    new = StudyBody.model_validate_json(json.dumps(study)).new_study()
    assert expand(new.plan, run_of)
    STUDY.validate(study)


WRONG_STUDIES: list[dict[str, Any]] = [
    {},
    {"base": BASE, "seed": 3},
    {"base": {**BASE, "seed": 3}},
    {"base": BASE, "arms": {}},
    {"base": BASE, "arms": {"a": {"seed": 3}}},
    {"base": BASE, "arms": {"a": {"optimiser": {"lr": 0.5}}}},
    {"base": BASE, "arms": {"a": {"optimizer": {"lr": "0.5"}}}},
    {"base": BASE, "arms": {"a": {"optimizer": {"kind": "adma"}}}},
    {"base": BASE, "arms": {"a": {"model": {"hiden": [4]}}}},
    {"base": BASE, "arms": {"a": {"model": [4]}}},
    {"base": BASE, "arms": {"a": {"regularizers_add": [{"kind": "l1", "strenght": 1e-6}]}}},
    {"base": BASE, "arms": {"a": {"regularizers": [{"strength": 1e-6}]}}},
    {"base": {**BASE, "regularizers_add": []}},
    {"base": {**BASE, "surprise": None}},
    {"base": {**BASE, "model": {**BASE["model"], "surprise": None}}},
    {"base": BASE, "seeds": 0},
    {"base": BASE, "seeds": [-1]},
    {"base": BASE, "grid": {"optimizer.lr": []}},
    {"base": BASE, "sample": {"n": 3, "space": {"optimizer.lr": {"distribution": "normal", "low": 1e-3, "high": 1.0}}}},
]


@pytest.mark.parametrize("study", WRONG_STUDIES, ids=range(len(WRONG_STUDIES)))
def test_study_that_the_schema_refuses_is_refused_by_the_service(study: dict[str, Any]) -> None:
    assert not STUDY.is_valid(study)
    with pytest.raises((ValueError, SpecRefused)):
        expand(StudyBody.model_validate_json(json.dumps(study)).new_study().plan, run_of)
