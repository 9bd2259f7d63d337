"""Every example on the page of fields of runs and studies is valid, and every field and object has one place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs.spec_page import BODIES, objects, smallest
from service.catalog.routes import FAMILIES, parts_of
from service.http.bodies import parse
from service.runs.bodies import EXAMPLE as RUN
from service.runs.bodies import RunBody, run_of
from service.studies.bodies import EXAMPLE as STUDY
from service.studies.bodies import StudyBody
from service.studies.expansion import expand
from service.web.documentation.markdown import document

PAGE = Path(__file__).parents[1] / "docs/reference/spec.md"
SECTION = re.compile(r"^### (Run|Study): (\w+)\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTIONS = {(name.lower(), field): text for name, field, text in SECTION.findall(PAGE.read_text())}
EXAMPLES = [
    (name, field, json.loads(block)) for (name, field), text in SECTIONS.items() for block in FENCE.findall(text)
]


def _examples(name: str) -> list[Any]:
    return [
        pytest.param(example, id=f"{field}-{i}") for i, (body, field, example) in enumerate(EXAMPLES) if body == name
    ]


@pytest.mark.parametrize("name", BODIES)
def test_every_field_has_a_section_with_an_example(name: str) -> None:
    fields = list(BODIES[name].model_fields)
    assert [field for body, field in SECTIONS if body == name] == fields
    assert {field for body, field, _ in EXAMPLES if body == name} == set(fields)


@pytest.mark.parametrize("example", _examples("run"))
def test_example_of_a_run_is_valid(example: dict[str, Any]) -> None:
    small = {name: value for name, value in RUN.items() if name != "regularizers"}
    spec = run_of({**small, **example}).spec
    assert [objection.message for _, objection in spec.objections()] == []
    assert example.keys() <= RunBody.model_fields.keys()


@pytest.mark.parametrize("example", _examples("study"))
def test_example_of_a_study_is_valid(example: dict[str, Any]) -> None:
    study = {name: value for name, value in STUDY.items() if name != "seeds"}
    if "tune" in example:
        del study["arms"]
    new = parse(StudyBody, json.dumps({**study, **example}).encode()).new_study()
    assert expand(new.plan, run_of)


@pytest.mark.parametrize("family", FAMILIES)
def test_smallest_bodies_of_all_kinds_are_valid(family: str) -> None:
    for kind, part in parts_of(family).items():
        assert part.model_validate_json(json.dumps(smallest(part))).kind == kind


def test_links_to_objects_and_kinds_lead_to_their_headings() -> None:
    page, catalog = document("reference/spec.md"), document("reference/catalog.md")
    titles = {f"#{one.anchor}": one.title for one in page.sections}
    assert {name: titles[target] for name, target in objects().items() if name != "RunSpec"} == {
        name: name for name in objects() if name != "RunSpec"
    }
    kinds = {one.anchor: one.title for one in catalog.sections}
    links = re.findall(r"\[`(\w+)`\]\(catalog\.md#([\w-]+)\)", PAGE.read_text())
    assert len(links) > 100
    assert [(kind, anchor) for kind, anchor in links if kinds.get(anchor) != kind] == []


def test_every_field_of_every_object_is_described() -> None:
    rows = re.findall(r"^\| \[?`(\w+)`.*\| ([^|]*) \|$", PAGE.read_text(), re.MULTILINE)
    assert [name for name, text in rows if not text.strip() and name != "kind"] == []
