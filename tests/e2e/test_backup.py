"""A backup can be made while runs train, and another server resumes from it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.patience import eventually, scaled
from tests.processes import UNBROKEN_LEASE, serving

pytestmark = pytest.mark.slow
SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [32]},
    "optimizer": {"kind": "momentum", "lr": 0.01},
    "epochs": 500,
}


def backup(home: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return warm.fitwell("backup", str(target), "--data-dir", str(home), "--json", timeout=scaled(120))


def test_server_resumes_from_the_backup_of_a_busy_one_with_the_same_bits(tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    table = tmp_path / "rows.csv"
    table.write_text("\n".join(["x,y,label", *(f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(60))]))
    with serving(home) as first:
        done = first.client.runs.create(**{**SPEC, "epochs": 5}).wait(scaled(60))
        upload = first.client.datasets.upload(table, target="label")
        busy = first.client.runs.create(seed=1, **SPEC)
        eventually(lambda: busy.refresh().progress.epoch > 50)
        saved = backup(home, copy)
        assert (saved.returncode, json.loads(saved.stdout)["lost"]) == (0, []), saved.stderr
        assert json.loads(saved.stdout)["files"] >= 4
        straight = busy.wait(scaled(120))
        losses = straight.history.series["val.loss"]
    shutil.rmtree(home)
    with serving(copy, FITWELL_LEASE_SECONDS=UNBROKEN_LEASE) as second:
        assert second.client.runs.get(done.id).predict(split="test", indices=[0]).labels
        assert second.client.datasets.get(upload.id).preview()["rows"]
        again = second.client.runs.get(busy.id).wait(scaled(300))
        assert again.determinism is not None and straight.determinism is not None  # noqa: PT018 - for the types
        assert (again.determinism.resumes, again.determinism.digest) == (1, straight.determinism.digest)
        assert again.history.series["val.loss"] == losses


def test_restore_reports_lost_files_and_existing_ones(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home) as served:
        served.client.runs.create(**{**SPEC, "epochs": 3}).wait(scaled(60))
    weights = next((home / "checkpoints").rglob("*.safetensors"))
    weights.write_bytes(b"spoiled")
    done = backup(home, tmp_path / "copy")
    assert done.returncode == 1
    assert json.loads(done.stdout)["lost"] == [str(weights.relative_to(home))]
    refused = backup(home, tmp_path / "copy")
    assert (refused.returncode, "already exists" in refused.stderr) == (5, True)
    nothing = backup(tmp_path / "elsewhere", tmp_path / "other")
    assert (nothing.returncode, "has no database" in nothing.stderr) == (5, True)
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]
