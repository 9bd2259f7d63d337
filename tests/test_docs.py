"""The generated reference is current, and links in the documentation resolve."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from docs import reproduction_pages
from docs.generate import HEADER, PAGES, REFERENCE
from service.catalog.presets import presets
from service.reproductions.published import reproductions

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[\w-]*)?\)")
PAGES_READ = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks/README.md"])


@pytest.mark.parametrize("name", PAGES)
def test_reference_is_current(name: str) -> None:
    text = HEADER + PAGES[name]().strip() + "\n"
    assert (REFERENCE / name).read_text() == text, "stale: run make generate"


@pytest.mark.parametrize("name", reproduction_pages.pages())
def test_pages_of_reproductions_are_current(name: str) -> None:
    text = HEADER + reproduction_pages.pages()[name]().strip() + "\n"
    assert (reproduction_pages.RESULTS / name).read_text() == text, "stale: run make generate"


def test_page_of_a_reproduction_reports_a_changed_definition() -> None:
    stored = json.loads((reproduction_pages.RESULTS / "krogh1991.json").read_text())
    assert "definition has changed" in reproduction_pages.page({**stored, "definition_hash": "sha256:0"})
    definition = reproductions()["krogh1991"]
    current = {**stored, "definition_hash": f"sha256:{definition.digest('full')}"}
    assert "definition has changed" not in reproduction_pages.page(current)


@pytest.mark.parametrize("written", PAGES_READ, ids=lambda one: str(one.relative_to(ROOT)))
def test_every_link_resolves(written: Path) -> None:
    for link in LINK.findall(written.read_text()):
        assert (written.parent / link).exists(), f"{written.name} links to {link}"


@pytest.mark.parametrize("name", presets())
def test_results_of_every_preset_are_documented(name: str) -> None:
    page, _, section = presets()[name].results.partition("#")
    text = (ROOT / page).read_text()
    assert f"`{name}`" in text
    assert section in {"", *(_anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE))}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [ROOT / "docs/security.md", ROOT / "docs/durability.md"], ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    for name in re.findall(r"`((?:service|e2e|faults)/[\w/]*test_\w+\.py)`", page.read_text()):
        assert (ROOT / "tests" / name).exists(), f"{page.name} names tests/{name}"
