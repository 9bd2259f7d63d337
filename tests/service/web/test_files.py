"""The files of the pages: those of others are unchanged, our own are small, and what they import is there."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import service.web
from service.web.assets import MEDIA_TYPES, assets

STATIC = Path(service.web.__file__).parent / "static"
MOST_LINES = 300


def test_vendored_files_are_those_that_their_list_names() -> None:
    rows = re.findall(
        r"^\| `(\S+)` .*`(\w+\.LICENSE)` \| `([0-9a-f]{64})` \|$", (STATIC / "vendor/README.md").read_text(), re.M
    )
    told = {name: sha256 for name, _, sha256 in rows}
    there = {path.name for path in (STATIC / "vendor").iterdir() if path.suffix[1:] in MEDIA_TYPES}
    assert told.keys() == there
    for name, licence, sha256 in rows:
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == sha256
        assert (STATIC / "vendor" / licence).read_text().strip()


@pytest.mark.parametrize("path", sorted(STATIC.glob("js/*/*.js")), ids=lambda path: path.name)
def test_our_own_scripts_are_short_say_what_they_are_and_make_no_markup(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("// ")
    assert text.count("\n") <= MOST_LINES
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


def test_every_script_that_another_one_imports_is_served() -> None:
    for name, data in assets().files.items():
        for imported in re.findall(r'^import .* from "(\.[^"]+)";$', data.decode(), re.M):
            there = (STATIC / name).parent / imported
            assert str(there.resolve().relative_to(STATIC)) in assets().files, (name, imported)
