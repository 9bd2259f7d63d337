"""Orders to evaluate a model, in the process that serves them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save

from service.models.refusals import refusal_of
from service.sandbox.predicting.evaluations import evaluate
from service.sandbox.predicting.messages import Describe, Evaluate, ModelFile, Refused
from service.sandbox.predicting.model_cache import ModelCache
from service.sandbox.predicting.process import serve_order
from tests.laws.strategies import HOME, parsed
from tests.laws.training import data_of
from tests.worker.spec.test_graph import trained, weights_of
from worker.engine.baseline import baselines_of
from worker.spec.run import RunSpec

LINEAR: dict[str, Any] = {"model": {"kind": "linear"}, "optimizer": {"kind": "sgd", "lr": 0.1}}
CONTENT = {"task": "regression", "shape": [1], "classes": [], "rows_train": 9, "rows_test": 3, "layout": 2}
DELETED = {"kind": "uploaded", "id": f"dataset_{'0' * 64}", "validation_size": 2, "content": CONTENT}


def model_file(path: Path, spec: RunSpec, about: Any) -> ModelFile:
    content = save(weights_of(trained(spec)), {"fitwell": json.dumps({"format": 1, **about})})
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return ModelFile(spec=spec.model_dump(mode="json"), spec_hash="", path=str(path), sha256=digest)


def test_last_value_is_a_baseline_of_the_test_part_of_the_own_series(tmp_path: Path) -> None:
    spec = parsed({**LINEAR, "dataset": {"kind": "co2"}})
    stack, data = trained(spec), data_of(spec)
    file, cache = model_file(tmp_path / "model", spec, data.preparations[0]), ModelCache(HOME, 0)

    def evaluated(part: Any) -> Any:
        order = Evaluate(model=file, dataset=spec.dataset.model_dump(mode="json"), part=part)
        return evaluate(order, cache.model(file), cache)

    result = evaluated("test")
    expected = {name: value for name, value in baselines_of(stack, data)[0].items() if name.startswith("test.")}
    assert {f"test.{name}": value for name, value in result["baseline"].items()} == pytest.approx(expected, rel=1e-4)
    assert result["table"]["notes"] == []
    everything = evaluated("all")
    assert not any(name.endswith("_last_value") for name in everything["baseline"])
    assert "last value" in everything["table"]["notes"][0]
    assert cache.model(file).target_name == data.preparations[0]["target_name"]


def test_weights_without_a_preparation_need_the_dataset(tmp_path: Path) -> None:
    file = model_file(tmp_path / "model", parsed({**LINEAR, "dataset": DELETED}), {})
    reply, _ = serve_order(Describe(model=file), b"", ModelCache(tmp_path, 0))
    assert isinstance(reply, Refused)
    assert "Upload the file again" in reply.message
    (error,) = refusal_of(reply).errors
    assert (error.code, error.pointer) == ("dataset_missing", ""), "no split was requested"
