"""The GitHub action, run as a runner runs it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from fitwell.exit_codes import MEANINGS, Exit
from tests import warm
from tests.e2e.guarded import SPEC, Guarded
from tests.patience import scaled

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def run_action(guarded: Guarded, tmp_path: Path, **inputs: str) -> tuple[int, str, dict[str, str]]:
    """Run the action's step as a runner does; return exit code, output and the action's outputs."""
    step = ACTION["runs"]["steps"][1]
    inputs_by_name = {name: one.get("default", "") for name, one in ACTION["inputs"].items()}
    inputs_by_name |= {"url": guarded.url, "token": guarded.token}
    inputs_by_name |= {name.replace("_", "-"): value for name, value in inputs.items()}
    expressions = {f"inputs.{name}": value for name, value in inputs_by_name.items()}
    expressions |= {"github.sha": "0" * 40, "github.workflow": 'a "workflow"'}
    variables = {name: expressions[text.strip("${} ")] for name, text in step["env"].items()}
    outputs = tmp_path / "outputs"
    outputs.write_text("")
    path = {"PATH": warm.write_fitwell(tmp_path / "bin"), "PYTHONPATH": str(ROOT)}
    environment = {**os.environ, **variables, **path, "GITHUB_OUTPUT": str(outputs)}
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(
        shell, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=scaled(120), check=False
    )
    results = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    return done.returncode, done.stdout + done.stderr, results


def test_action_trains_and_fails_the_job_by_exit_code(guarded: Guarded, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    code, output, results = run_action(guarded, tmp_path, spec="spec.yaml", set="seed=3\nepochs=4", labels="a=b c")
    assert (code, results["status"], results["exit-code"]) == (0, "succeeded", "0"), output
    run = guarded.client.runs.get(results["run-id"])
    assert (run.seed, run.progress.epochs, run.labels["a"], run.labels["workflow"]) == (3, 4, "b c", 'a "workflow"')
    assert run.best is not None
    assert float(results["best"]) == run.best.value
    code, output, results = run_action(guarded, tmp_path, spec="spec.yaml", fail_if="lr > 5\nval.loss > 0.0001")
    assert (code, results["exit-code"], "::error title=Fitwell::The run meets" in output) == (6, "6", True)
    evil = 'x"; touch evil; "$(touch evil)'
    code, output, results = run_action(guarded, tmp_path, spec="spec.yaml", fail_if=evil, labels="a=" + evil)
    assert (code, (tmp_path / "evil").exists()) == (Exit.USAGE, False)
    assert run_action(guarded, tmp_path, spec="absent.yaml")[0] == Exit.USAGE
    assert run_action(guarded, tmp_path, spec="spec.yaml", token="fw_wrong")[0] == Exit.REFUSED
    assert run_action(guarded, tmp_path, spec="spec.yaml", url="http://127.0.0.1:1")[0] == Exit.UNREACHABLE


def test_action_handles_every_exit_code() -> None:
    named = {int(code) for code in re.findall(r"^  (\d)\) ", ACTION["runs"]["steps"][1]["run"], re.MULTILINE)}
    assert named == {code.value for code in MEANINGS} - {Exit.LOCAL.value}
