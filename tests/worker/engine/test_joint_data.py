"""A table whose columns and target are standardized by the training rows: every split has scales of its own."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from tests.worker.engine.stacks import trained
from worker.spec.keys import stack_key
from worker.spec.run import RunSpec

ROWS, TEST_ROWS, COLUMNS = 90, 30, 4


@pytest.fixture
def table(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A folder of datasets with an uploaded table of numbers, and the table's body in a spec."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS + TEST_ROWS, COLUMNS)).astype(np.float32)
    y = x @ np.arange(1, COLUMNS + 1) + rng.standard_t(3, ROWS + TEST_ROWS)
    tensors = {"train_x": x[:ROWS], "train_y": y[:ROWS], "test_x": x[ROWS:], "test_y": y[ROWS:]}
    content = save({name: np.ascontiguousarray(values) for name, values in tensors.items()})
    sha256 = hashlib.sha256(content).hexdigest()
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / f"{sha256}.safetensors").write_bytes(content)
    facts = {"task": "regression", "shape": [COLUMNS], "classes": [], "rows_train": ROWS, "rows_test": TEST_ROWS}
    return tmp_path, {"kind": "uploaded", "id": f"dataset_{sha256}", "content": facts, "validation_size": 30}


def test_runs_of_several_splits_train_together_as_alone(table: tuple[Path, dict[str, Any]]) -> None:
    home, dataset = table
    body = {"model": {"kind": "mlp", "hidden": [8]}, "optimizer": {"kind": "sgd", "lr": 0.05}, "epochs": 2}
    specs = [RunSpec.of({**body, "seed": 5, "dataset": {**dataset, "split_seed": split}}) for split in (3, 0, 3, 7)]
    assert len({stack_key(spec) for spec in specs}) == 1

    together = trained(specs, home)
    assert together == [trained([spec], home)[0] for spec in specs]
    assert together[0] == together[2] != together[1]
    assert all(math.isfinite(value) for value in together[0][1][0].values())
    assert {"val.r2", "val.rmse", "test.rmse", "train.r2"} <= together[0][1][0].keys()
