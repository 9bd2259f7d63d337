"""The command line with a real server and real training."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import yaml
from typer.testing import CliRunner

import fitwell
from fitwell.cli import app
from fitwell.commands.specs.init import RUN_TEMPLATE, STUDY_TEMPLATE
from fitwell.exit_codes import Exit
from tests import warm
from tests.fitwell.test_commands import with_all
from tests.patience import scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow
SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [16]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 5,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("commands") / "home") as one:
        yield one


@pytest.fixture(scope="module")
def run(served: Serving) -> fitwell.Run:
    return served.client.runs.create(name="[red]", **SPEC).wait(scaled(60))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("spec") / "spec.yaml"
    file.write_text(yaml.safe_dump(SPEC))
    return str(file)


def run_command(served: Serving, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, "FITWELL_URL": served.client.transport.url, **environment}
    done = warm.fitwell(*arguments, env=surroundings, timeout=scaled(120))
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_exit_code_reports_the_result_of_a_run(served: Serving, spec: str) -> None:
    good = run_command(served, "submit", spec, "--fail-if", "val.loss > 1000", "--fail-if", "test.accuracy < 0.01")
    assert (good.returncode, good.stderr) == (Exit.OK, "")
    bad = run_command(
        served, "submit", spec, "--json", "--fail-if", "val.loss > 0.001", "--fail-if", "best.value < 1000"
    )
    assert bad.returncode == Exit.CONDITION
    assert bad.stderr.count("fitwell: ") == 2
    run = json.loads(bad.stdout)
    assert f"val.loss is {run['last']['val.loss']:.6g}: val.loss > 0.001" in bad.stderr
    wild = run_command(
        served, "submit", spec, "--set", 'regularizers=[{"kind": "l2", "strength": 1.0e6}]', "--fail-if", "lr > 9"
    )
    assert (wild.returncode, "diverged" in wild.stdout) == (Exit.RUN_FAILED, True)
    unknown = run_command(served, "submit", spec, "--fail-if", "loss > 1")
    assert (unknown.returncode, "Did you mean 'val.loss'?" in unknown.stderr) == (
        Exit.USAGE,
        True,
    )
    assert run_command(served, "submit", spec, "--set", "optimizer.lr=-1").returncode == Exit.REFUSED
    assert run_command(served, "show", "run_nothing").returncode == Exit.REFUSED
    assert run_command(served, "ls", FITWELL_URL="http://127.0.0.1:1").returncode == Exit.UNREACHABLE


@pytest.mark.parametrize("wild", ["../studies", "a/b?c=d#e", "", "%2e%2e", "run_\n"])
def test_malformed_id_is_refused_and_reaches_no_other_resource(served: Serving, wild: str) -> None:
    done = run_command(served, "show", wild)
    assert (done.returncode, "fitwell: " in done.stderr) == (Exit.REFUSED, True)


@pytest.mark.parametrize("template", [RUN_TEMPLATE, STUDY_TEMPLATE])
def test_templates_of_init_are_valid_with_and_without_their_commented_lines(
    served: Serving, tmp_path: Path, template: str
) -> None:
    verb = ("validate",) if template is RUN_TEMPLATE else ("study", "--preview")
    for text in (template.format(file="x"), with_all(template)):
        file = tmp_path / "spec.yaml"
        file.write_text(text)
        done = run_command(served, *verb, str(file))
        assert done.returncode == 0, done.stderr


def test_init_writes_presets_of_the_server(served: Serving, tmp_path: Path) -> None:
    for preset in served.client.presets.list():
        file = tmp_path / f"{preset.name}.yaml"
        line = ["init", str(file), "--preset", preset.name, "--url", served.client.transport.url]
        assert CliRunner().invoke(app, line).exit_code == 0
        assert yaml.safe_load(file.read_text()) == preset.study
        assert f"# Results: {preset.results}" in file.read_text()
        for arm, run in preset.runs.items():
            assert CliRunner().invoke(app, [*line, "--arm", arm, "--force"]).exit_code == 0
            assert yaml.safe_load(file.read_text()) == run
    wrong = run_command(served, "init", str(tmp_path / "x.yaml"), "--preset", "nothing")
    assert (wrong.returncode, (tmp_path / "x.yaml").exists()) == (Exit.REFUSED, False)
    unknown = CliRunner().invoke(app, [*line, "--arm", "absent", "--force"])
    assert (unknown.exit_code, "Unknown arm 'absent'" in unknown.output) == (Exit.USAGE, True)


def test_study_file_of_a_preset_starts_all_its_runs(served: Serving, tmp_path: Path) -> None:
    file = str(tmp_path / "study.yaml")
    assert run_command(served, "init", file, "--preset", "regression").returncode == 0
    submitted = run_command(served, "study", file, "--set", "base.epochs=2", "--set", "seeds=2", "--wait", "--json")
    study = json.loads(submitted.stdout)
    assert (study["status"], study["progress"]["runs"], len(study["arms"])) == ("finished", 5 * 2, 5)


def test_calibration_prints_the_bins_with_rows(served: Serving, run: fitwell.Run) -> None:
    result = json.loads(run_command(served, "calibration", run.id, "--split", "val", "--bins", "5", "--json").stdout)
    assert result == json.loads(run.calibration("val", bins=5).model_dump_json())
    text = run_command(served, "calibration", run.id, "--split", "val", "--bins", "5").stdout
    assert [f"{one['low']:.3f} to {one['high']:.3f}" in text for one in result["bins"]] == [
        one["count"] > 0 for one in result["bins"]
    ]
    assert f"ECE {result['ece']:.4f}" in text


def test_exported_files_equal_the_history(served: Serving, run: fitwell.Run, tmp_path: Path) -> None:
    for form in ("csv", "parquet", "ndjson", "json"):
        done = run_command(served, "export", run.id, "--format", form, "--to", str(tmp_path))
        assert done.stdout.strip() == str(tmp_path / f"{run.id}.{form}")
    history = run.history
    with (tmp_path / f"{run.id}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val.loss"]) for row in rows] == history["val.loss"]
    table = pyarrow.parquet.read_table(tmp_path / f"{run.id}.parquet")
    assert table.column("val.loss").to_pylist() == history["val.loss"]
    lines = [json.loads(line) for line in (tmp_path / f"{run.id}.ndjson").read_text().splitlines()]
    assert [line["val.loss"] for line in lines] == history["val.loss"]
    assert json.loads((tmp_path / f"{run.id}.json").read_text())["series"] == history.series
    assert sorted(tmp_path.iterdir()) == sorted(
        tmp_path / f"{run.id}.{f}" for f in ("csv", "json", "ndjson", "parquet")
    )


def test_export_of_a_study_writes_a_file_per_run(served: Serving, tmp_path: Path) -> None:
    study = served.client.studies.create(base=SPEC, arms={"a": {}, "b": {"optimizer": {"lr": 0.2}}}, seeds=2).wait(
        scaled(60)
    )
    done = run_command(served, "export", study.id, "--to", str(tmp_path / "new" / "folder"))
    files = {Path(line).name for line in done.stdout.splitlines()}
    assert files == {f"{run.id}.csv" for run in study.runs()}
    lost = run_command(served, "export", study.id, "--to", "/proc/nothing")
    assert (lost.returncode, "Cannot write to" in lost.stderr) == (Exit.LOCAL, True)


def test_study_is_listed_shown_extended_cancelled_and_deleted(served: Serving, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({"name": "[s]", "base": {**SPEC, "epochs": 100_000}, "arms": {"a": {}}, "seeds": 2}))
    name = run_command(served, "study", str(file)).stdout.strip()
    listed = run_command(served, "studies", "--limit", "1").stdout
    assert (name in listed, "[s]" in listed) == (True, True)
    assert json.loads(run_command(served, "studies", "--json").stdout)[0]["id"] == name
    assert "3 seeds" in run_command(served, "seeds", name, "1").stdout
    summary = run_command(served, "show", name)
    assert (summary.returncode, "1 arms" in summary.stdout) == (0, True)
    assert run_command(served, "rm", name).returncode == Exit.REFUSED
    assert run_command(served, "cancel", name).returncode == 0
    served.client.studies.get(name).wait(scaled(30))
    assert run_command(served, "rm", name).stdout == f"{name} is deleted\n"
    assert run_command(served, "show", name).returncode == Exit.REFUSED


def test_ls_prints_brackets_in_names(served: Serving, run: fitwell.Run) -> None:
    listed = run_command(served, "ls", "--limit", "1000", "--sort", "created_at")
    line = next(line for line in listed.stdout.splitlines() if run.id in line)
    assert "[red]" in line


def test_watch_prints_every_epoch_and_draws_curves_in_a_terminal(served: Serving, run: fitwell.Run) -> None:
    lines = run_command(served, "watch", run.id).stdout.splitlines()
    assert [line.split("  ")[1] for line in lines[:5]] == [f"epoch {epoch}/5" for epoch in range(1, 6)]
    command = [sys.executable, "-m", "fitwell.cli", "watch", run.id, "--url", served.client.transport.url]
    screen = terminal_output(command)
    assert "val.loss" in screen
    assert "⢕" in screen
    assert "succeeded" in screen


def terminal_output(command: list[str]) -> str:
    """Run a program in a terminal and return its output."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    with warm.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        written, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    written += os.read(ours, 65536)
                except OSError:  # the other side is closed
                    break
        assert process.wait(scaled(10)) == 0
    os.close(ours)
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", written.decode())


def test_catalog_lists_families_parts_and_fields(served: Serving) -> None:
    every = run_command(served, "catalog").stdout
    assert all(kind in every for kind in ("digits", "dropout", "early_stopping", "cosine"))
    one = run_command(served, "catalog", "dropout").stdout
    assert "reference: " in one
    assert re.search(r"p: number, .*default 0\.5", one)
    assert [part["kind"] for part in json.loads(run_command(served, "catalog", "schedules", "--json").stdout)] == [
        part.kind for part in served.client.catalog().schedules
    ]
    wrong = run_command(served, "catalog", "droput")
    assert (wrong.returncode, "dropout" in wrong.stderr) == (Exit.USAGE, True)


def test_run_is_cancelled_retried_paused_and_deleted(served: Serving, spec: str) -> None:
    long = json.loads(run_command(served, "submit", spec, "--set", "epochs=100000", "--json").stdout)["id"]
    assert run_command(served, "cancel", long).returncode == 0
    served.client.runs.get(long).wait(scaled(30), check=False)
    assert run_command(served, "retry", long).returncode == 0
    assert run_command(served, "pause", long).returncode in (Exit.OK, Exit.REFUSED)
    assert run_command(served, "rm", long).returncode == Exit.REFUSED
    run_command(served, "cancel", long)
    served.client.runs.get(long).wait(scaled(30), check=False)
    assert run_command(served, "rm", long).stdout == f"{long} is deleted\n"


def test_runs_are_named_labeled_cloned_and_identified_without_an_id(served: Serving, run: fitwell.Run) -> None:
    done = run_command(served, "rename", run.id, "first try")
    assert done.stdout == f"{run.id} first try\n"
    assert run_command(served, "label", "first try", "course=dl", "week=1").stdout == f"{run.id} course=dl week=1\n"
    assert run_command(served, "label", run.id[:-1], "--remove", "week").stdout == f"{run.id} course=dl\n"
    refused = run_command(served, "label", run.id, "--remove", "year")
    assert (refused.returncode, "it has course" in refused.stderr) == (Exit.USAGE, True)
    assert run.id in run_command(served, "ls", "-q", "--label", "course=dl").stdout.split()

    cloned = run_command(
        served, "clone", "first try", "--set", "optimizer.lr=0.05", "--set", "epochs=2", "--wait", "--json"
    )
    copy = json.loads(cloned.stdout)
    assert (copy["status"], copy["spec"]["optimizer"]["lr"], copy["spec"]["epochs"]) == ("succeeded", 0.05, 2)
    assert copy["spec"]["dataset"] == run.spec["dataset"]
    assert json.loads(run_command(served, "show", "@last", "--json").stdout)["id"] == copy["id"]
    assert run_command(served, "open", "@last", "--no-browser").stdout.endswith(f"/runs/{copy['id']}\n")
    assert run_command(served, "show", "second try").returncode == Exit.REFUSED
    assert run_command(served, "rename", run.id, "[red]").returncode == Exit.OK


def test_queue_presets_and_confusion_are_tables(served: Serving, run: fitwell.Run) -> None:
    assert run_command(served, "queue").stdout == "No run is unfinished.\n"
    waiting = served.client.runs.create(name="[later]", **{**SPEC, "epochs": 5000, "seed": 77})
    listed = run_command(served, "queue").stdout
    assert waiting.id in listed
    assert "[later]" in listed
    assert [one["id"] for one in json.loads(run_command(served, "queue", "--json").stdout)] == [waiting.id]
    waiting.cancel()
    assert "srivastava" in run_command(served, "presets").stdout
    counts = json.loads(run_command(served, "confusion", run.id, "--json").stdout)["counts"]
    table = run_command(served, "confusion", run.id).stdout
    assert "precision" in table
    assert all(str(counts[i][i]) in table for i in range(10))


def test_version_is_printed(served: Serving) -> None:
    assert re.fullmatch(r"fitwell \d+\.\d+\.\d+\n", run_command(served, "--version").stdout)
