"""The command line without a server: errors, exit codes and help."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from fitwell import errors
from fitwell.cli import app, exit_code_for
from fitwell.commands.specs.init import RUN_TEMPLATE, STUDY_TEMPLATE
from fitwell.errors import FitwellError, NotInstalled, RunFailed, TimedOut, Unreachable
from fitwell.exit_codes import HELP, MEANINGS, Exit
from fitwell.local import LocalError
from fitwell.spec_files import SpecFileError
from fitwell.terminal.chart import chart
from tests.patience import scaled

ROOT = Path(__file__).parents[2]


def test_every_exit_code_is_documented() -> None:
    reference = (ROOT / "docs/reference/cli.md").read_text()
    assert list(MEANINGS) == list(Exit)
    for code, (words, _) in MEANINGS.items():
        assert f"{code.value} {words}" in HELP
        assert f"| {code.value} |" in reference
    assert [code.value for code in Exit] == list(range(7)), "scripts rely on these numbers"


def test_every_error_has_an_exit_code() -> None:
    expected = {
        Unreachable("http://x", "no"): Exit.UNREACHABLE,
        errors.Misunderstood("http://x", "no"): Exit.UNREACHABLE,
        errors.BadAddress("no"): Exit.USAGE,
        LocalError("no"): Exit.LOCAL,
        NotInstalled("no"): Exit.LOCAL,
        SpecFileError("no"): Exit.USAGE,
        RunFailed("no"): Exit.RUN_FAILED,
        TimedOut("no"): Exit.RUN_FAILED,
        FitwellError("no"): Exit.RUN_FAILED,
    }
    assert {error: exit_code_for(error) for error in expected} == expected
    for kind in errors.refusal_classes():
        assert exit_code_for(kind({"code": kind.code})) is Exit.REFUSED


@pytest.mark.slow
def test_init_writes_valid_yaml_with_a_schema_line(tmp_path: Path) -> None:
    for arguments, name in (([], "run"), (["--study"], "study")):
        target = tmp_path / f"{name}.yaml"
        assert CliRunner().invoke(app, ["init", str(target), *arguments]).exit_code == 0
        first, *_ = text = target.read_text().splitlines()
        assert first == f"# yaml-language-server: $schema=http://127.0.0.1:8000/v1/schema/{name}.json"
        assert sum("#" in line for line in text) > 8
        assert yaml.safe_load(target.read_text())
    again = CliRunner().invoke(app, ["init", str(tmp_path / "run.yaml")])
    assert isinstance(again.exception, SpecFileError)
    assert CliRunner().invoke(app, ["init", str(tmp_path / "run.yaml"), "--force"]).exit_code == 0
    lost = CliRunner().invoke(app, ["init", str(tmp_path / "no" / "run.yaml")])
    assert isinstance(lost.exception, LocalError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vary", "split"], "--vary needs --replicates or --max-seeds"),
        (["--replicates", "12", "--max-seeds", "32"], "fixed number of --replicates, or up to --max-seeds"),
    ],
)
def test_contradictory_replicates_are_refused(options: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("base: {}")
    reply = CliRunner().invoke(app, ["study", str(tmp_path / "study.yaml"), *options], env={"COLUMNS": "200"})
    assert reply.exit_code == Exit.USAGE
    assert message in re.sub(r"[\s│]+", " ", reply.output)


def with_all(template: str) -> str:
    """Return the template with all commented fields enabled."""
    return re.sub(r"^(\s*)# (?=[a-z_]+: |- \{)", r"\1", template.format(file="x"), flags=re.MULTILINE)


@pytest.mark.parametrize("template", [RUN_TEMPLATE, STUDY_TEMPLATE])
def test_commented_lines_of_a_template_are_valid_yaml(template: str) -> None:
    assert len(yaml.safe_load(with_all(template))) >= len(yaml.safe_load(template.format(file="x"))) + 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "run_1", "--format", "mlflow"],
        ["export", "run_1", "--format", "mlflow", "--to", "folder"],
        ["ls", "--label", "nothing"],
        ["submit", "-", "--set", "x"],
        ["submit", "absent.yaml"],
    ],
)
def test_invalid_input_is_reported_without_a_traceback(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, [*arguments, "--url", "http://127.0.0.1:1"], input="a: 1")
    assert isinstance(done.exception, SpecFileError)
    assert str(done.exception).endswith(("5000", ".", "spec"))


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["ls", "--limit", "0"], ["ls", "--nothing"], ["show"], ["history", "r", "--format", "xml"]],
)
def test_usage_error_exits_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == Exit.USAGE


def test_every_command_that_reads_has_a_json_option() -> None:
    """Commands that serve, print or write files have an output of their own."""
    others = {"serve", "demo", "api", "worker", "init", "download", "report", "schema", "mcp", "completion"}
    others |= {"open", "predict", "data remove", "data fetch", "token revoke", "webhook rm"}
    commands = dict(leaves(get_command(app)))
    assert others <= set(commands)
    without = {name for name, command in commands.items() if all("--json" not in one.opts for one in command.params)}
    assert without == others


def leaves(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def test_help_shows_flags_without_a_type() -> None:
    for line in (["--help"], ["study", "--help"], ["data", "--help"], ["data", "add", "--help"]):
        text = CliRunner().invoke(app, line, env={"COLUMNS": "200"}).output
        assert "--help" in text
        assert "<bool>" not in text
    assert re.search(r"--header +--no-header +Whether", text)


def test_chart_distinguishes_curves_without_color() -> None:
    epochs, losses = list(range(1, 30)), [1 / epoch for epoch in range(1, 30)]
    series: dict[str, list[float | None]] = {"train.loss": [*losses], "val.loss": [one + 0.2 for one in losses]}
    drawn = chart(epochs, series, title="a run", width=80, height=16, color=False)
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in drawn.splitlines()]
    assert {len(line) for line in lines} == {80}
    assert len(lines) == 16
    assert all(name in drawn for name in ("a run", "train.loss", "val.loss", "⢕", "▚"))
    assert chart([1], {"val.loss": [None]}, title="", width=80, height=16) == ""


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(shell: str) -> None:
    done = CliRunner().invoke(app, ["completion", shell])
    assert (done.exit_code, "_FITWELL_COMPLETE" in done.output) == (0, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "completion"), [("fitwell su", "submit"), ("fitwell submit --fa", "--fail-if"), ("fitwell data a", "add")]
)
def test_bash_completes_commands_and_options(words: str, completion: str, tmp_path: Path) -> None:
    (tmp_path / "fitwell").write_text(f'#!/bin/sh\nexec {sys.executable} -m fitwell.cli "$@"\n')
    (tmp_path / "fitwell").chmod(0o755)
    program = f"""eval "$(fitwell completion bash)"; COMP_WORDS=({words}); COMP_CWORD={words.count(" ")}
    _fitwell_completion fitwell; echo "${{COMPREPLY[@]}}" """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", program], env=environment, capture_output=True, text=True, timeout=scaled(60), check=False
    )
    assert completion in done.stdout.split(), done.stderr
