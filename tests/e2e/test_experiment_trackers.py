"""Exports to W&B and Trackio by their own packages, read back with the packages' own formats."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import fitwell
from tests.e2e.guarded import Guarded
from tests.patience import scaled
from tests.plugins.servers import installed_python, server_environment

pytestmark = pytest.mark.slow

READ_WANDB = """
import json, struct, sys
from wandb.proto.wandb_internal_pb2 import Record

content, records, whole, at = open(sys.argv[1], "rb").read(), [], b"", 7  # a log as LevelDB's, behind 7 bytes
while at + 7 <= len(content):
    left = 32768 - at % 32768  # no header is cut by the end of a block
    if left < 7:
        at += left
        continue
    _, size, kind = struct.unpack("<IHB", content[at : at + 7])
    whole += content[at + 7 : at + 7 + size]
    at += 7 + size
    if kind in (1, 4):  # whole, or the last part
        records.append(Record.FromString(whole))
        whole = b""
name = lambda item: item.key or ".".join(item.nested_key)
values = lambda items: {name(item): json.loads(item.value_json) for item in items}
run = next(one.run for one in records if one.WhichOneof("record_type") == "run")
print(json.dumps({
    "id": run.run_id, "name": run.display_name, "project": run.project, "tags": list(run.tags),
    "config": values(run.config.update),
    "rows": [values(one.history.item) for one in records if one.WhichOneof("record_type") == "history"],
}))
"""
READ_TRACKIO = """
import json, sys
import trackio
from trackio.sqlite_storage import SQLiteStorage

print(json.dumps([
    {"name": run.name, "config": run.config, "rows": SQLiteStorage.get_logs(sys.argv[1], run.name, run_id=run.id)}
    for run in trackio.Api().runs(sys.argv[1])
]))
"""


def python(guarded: Guarded, *arguments: str, **environment: str) -> str:
    """Return what the Python of an installation with both packages prints."""
    env = {**server_environment(), **guarded.environment(), "WANDB_ERROR_REPORTING": "false", **environment}
    line = [installed_python("trackers"), *arguments]
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=scaled(120), check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def exported(guarded: Guarded, run: fitwell.Run, form: str, to: Path) -> list[dict[str, Any]]:
    """Return what two exports of ``run`` print."""
    line = ("-m", "fitwell", "export", run.id, "--format", form, "--to", str(to), "--experiment", "tests", "--json")
    return [json.loads(python(guarded, *line)) for _ in range(2)]


def logged(run: fitwell.Run) -> dict[int, dict[str, float | None]]:
    """Return the values that a tracker should have, by epoch."""
    columns = {name.replace(".", "/"): values for name, values in run.history.columns().items() if name != "epoch"}
    return {
        epoch: {name: values[row] for name, values in columns.items() if values[row] is not None}
        for row, epoch in enumerate(run.history.epoch)
    }


def test_wandb_has_an_offline_run_with_every_metric(
    guarded: Guarded, finished_run: fitwell.Run, tmp_path: Path
) -> None:
    done = exported(guarded, finished_run, "wandb", tmp_path)
    folders = list((tmp_path / "wandb").glob("offline-run-*"))
    assert [str(folder) for folder in folders] == [done[1]["exported"]], "a second export replaces the first"
    offline = json.loads(python(guarded, "-c", READ_WANDB, str(folders[0] / f"run-{finished_run.id}.wandb")))
    assert (offline["id"], offline["name"], offline["project"]) == (finished_run.id, "finished", "tests")
    assert offline["config"]["optimizer"]["lr"] == 0.1
    assert offline["tags"] == ["course:dl"]
    rows = {row.pop("_step"): row for row in offline["rows"]}
    times = [row.pop("_timestamp") for row in rows.values()]
    assert times == sorted(times)
    assert {step: {key: row[key] for key in row if not key.startswith("_")} for step, row in rows.items()} == logged(
        finished_run
    )


def test_trackio_has_a_run_with_every_metric(guarded: Guarded, finished_run: fitwell.Run, tmp_path: Path) -> None:
    done = exported(guarded, finished_run, "trackio", tmp_path)
    assert {one["exported"] for one in done} == {str(tmp_path)}
    (tracked,) = json.loads(python(guarded, "-c", READ_TRACKIO, "tests", TRACKIO_DIR=str(tmp_path)))
    assert tracked["name"] == "finished"
    assert tracked["config"]["fitwell/run_id"] == finished_run.id
    assert tracked["config"]["spec"]["optimizer"]["lr"] == 0.1
    rows = {row["step"]: {key: row[key] for key in row if key not in ("step", "timestamp")} for row in tracked["rows"]}
    assert rows == logged(finished_run)
