"""Every command and every program of README, tutorial and how-tos runs as it stands, in the order of its page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import warm
from tests.patience import scaled
from tests.processes import Serving, serving

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "docs/tutorial.md",
    ROOT / "docs/course.md",
    *sorted((ROOT / "docs/howto").glob("*.md")),
]
FENCE = re.compile(r"^```(\w*)$")
NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")
FILE = re.compile(r"^# (\w+\.yaml)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and why it is not run, if it is not."""

    language: str
    text: str
    reason: str | None


def blocks(page: Path) -> Iterator[Block]:
    before, language, text, reason = "", None, list[str](), None
    for line in page.read_text().splitlines():
        fence = FENCE.match(line)
        if language is None and fence:
            mark = NOT_RUN.match(before)
            language, text, reason = fence[1], [], mark[1] if mark else None
        elif language is not None and line == "```":
            yield Block(language, "\n".join(text), reason)
            language = None
        elif language is not None:
            text.append(line)
        before = line or before
    assert language is None, f"{page.name} has a block without an end"


RUN = {page: [one for one in blocks(page) if one.language in ("sh", "python") and not one.reason] for page in PAGES}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("written") / "home", workers=2) as one:
        yield one


@pytest.mark.slow
@pytest.mark.parametrize("written", [page for page in PAGES if RUN[page]], ids=lambda page: page.name)
def test_documented_commands_and_code_run(written: Path, served: Serving, tmp_path: Path) -> None:
    path = warm.write_fitwell(tmp_path / "bin")
    environment = {**os.environ, "FITWELL_URL": served.client.transport.url, "PATH": path, "PYTHONPATH": str(ROOT)}
    served.client.runs.create(dataset="digits", model={"kind": "linear"}, optimizer={"kind": "sgd", "lr": 0.1}).wait(
        scaled(60)
    )
    for block in blocks(written):
        if name := FILE.match(block.text):  # the page names the file in its first line
            (tmp_path / name[1]).write_text(block.text)
    for language, command in (("sh", ["bash", "-eu", "-c"]), ("python", [sys.executable, "-W", "error", "-c"])):
        program = "\n".join(one.text for one in RUN[written] if one.language == language)
        if program:
            done = subprocess.run(
                [*command, program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=scaled(280),
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{program}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    for run in served.client.runs.list(name="memorized"):  # which overfits, as the tutorial says
        assert run.diagnosis().verdict == "overfits"


def test_most_documented_blocks_run_and_others_state_why_not() -> None:
    every = [one for page in PAGES for one in blocks(page) if one.language in ("sh", "python")]
    left_out = [one for one in every if one.reason]
    assert len(left_out) < len(every) / 2
    assert len([page for page in PAGES if RUN[page]]) >= 5


def test_part_in_the_contributing_guide_equals_its_file() -> None:
    (example,) = [one.text for one in blocks(ROOT / "CONTRIBUTING.md") if "class L2(Regularizer)" in one.text]
    assert example in (ROOT / "worker/spec/regularizers/l2.py").read_text()


def test_howto_lists_every_exit_code() -> None:
    from fitwell.exit_codes import Exit

    table = (ROOT / "docs/howto/pipelines.md").read_text()
    assert re.findall(r"^\| (\d) \|", table, re.MULTILINE) == [str(code.value) for code in Exit]
