"""A table whose columns and target are standardized by the training rows: every split has scales of its own."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from worker.engine.baseline import baselines_of
from worker.engine.digest import next_digest
from worker.engine.knn import data_for
from worker.engine.stack import Member, Stack
from worker.engine.training import Training
from worker.spec.run import RunSpec, stack_key

CPU = torch.device("cpu")
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

    def train(chosen: list[RunSpec]) -> list[Any]:
        by_split = {spec.dataset.split_seed: spec.dataset for spec in chosen}
        data = data_for(list(by_split.values()), chosen[0].model, home, CPU)
        stack = Stack([Member(str(i), spec) for i, spec in enumerate(chosen)], CPU)
        observed: list[Any] = [[baseline] for baseline in baselines_of(stack, data)]
        for results in Training(stack, data).epochs():
            for result in results:
                digest = next_digest("", 0, result.stack.tensors(result.position), {})
                observed[int(result.member.run_id)].append((result.metrics, digest))
        return observed

    together = train(specs)
    assert together == [train([spec])[0] for spec in specs]
    assert together[0] == together[2] != together[1]
    assert all(math.isfinite(value) for value in together[0][1][0].values())
    assert {"val.r2", "val.rmse", "test.rmse", "train.r2"} <= together[0][1][0].keys()
