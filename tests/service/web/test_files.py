"""Static files: vendored ones are unchanged, our own are short, and imported ones exist."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import service.web
from service.sandbox.predicting.themes import THEMES
from service.web.assets import MEDIA_TYPES, assets

STATIC = Path(service.web.__file__).parent / "static"
MAX_LINES = 300


def test_vendored_files_match_their_list() -> None:
    rows = re.findall(
        r"^\| `(\S+)` .*`(\w+\.LICENSE)` \| `([0-9a-f]{64})` \|$", (STATIC / "vendor/README.md").read_text(), re.M
    )
    listed = {name: sha256 for name, _, sha256 in rows}
    vendored = {path.name for path in (STATIC / "vendor").iterdir() if path.suffix[1:] in MEDIA_TYPES}
    assert listed.keys() == vendored
    for name, licence, sha256 in rows:
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == sha256
        assert (STATIC / "vendor" / licence).read_text().strip()


@pytest.mark.parametrize("path", sorted(STATIC.glob("js/*/*.js")), ids=lambda path: path.name)
def test_scripts_are_short_and_documented_and_write_no_markup(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("// ")
    assert text.count("\n") <= MAX_LINES
    for forbidden in (
        "innerHTML",
        "outerHTML =",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "http://",
        "https://",
    ):
        assert forbidden not in text.replace("http://www.w3.org/2000/svg", ""), forbidden


def test_imported_scripts_are_served() -> None:
    for name, data in assets().files.items():
        for imported in re.findall(r'^import .* from "(\.[^"]+)";$', data.decode(), re.M):
            target = (STATIC / name).parent / imported
            assert str(target.resolve().relative_to(STATIC)) in assets().files, (name, imported)


def test_pictures_have_the_line_colors_of_the_style_sheet() -> None:
    rules = re.findall(r"--line-(\d): (#[0-9a-f]{6});", (STATIC / "css/base.css").read_text())
    colors = [color for _, color in sorted(rules, key=lambda rule: int(rule[0]))]  # light, dark, dark for each line
    for i, theme in enumerate(THEMES.values()):
        assert [theme.train, theme.val, theme.test, *theme.others] == colors[i::3]
