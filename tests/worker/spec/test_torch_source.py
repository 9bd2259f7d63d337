"""Python files of models compute what their ONNX files compute, of which the service's predictions are made."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from tests.laws.strategies import example
from tests.worker.spec.test_graph import run_of
from worker.spec.graph import NoGraph
from worker.spec.models import KINDS as MODELS
from worker.spec.models.mlp import MLP
from worker.spec.networks.model import LayeredModel
from worker.spec.onnx_file import INPUT, Scaling, onnx_of
from worker.spec.run import RunSpec
from worker.spec.torch_source import ascii_literal, source_of

CLASSIC = {"kind": "dropout", "p": 0.5, "input_p": 0.25, "form": "classic"}
CNN = {"kind": "cnn", "channels": [2, 3], "norm": "batch", "pooling": "average", "hidden": [8]}
SPECS: dict[str, dict[str, Any]] = {
    **{kind: {"model": example(part)} for kind, part in MODELS.items() if issubclass(part, LayeredModel)},
    "bfloat16": {"model": {"kind": "mlp", "hidden": [8, 8]}, "precision": "bfloat16"},
    "cnn with classic dropout": {"model": CNN, "regularizers": [CLASSIC]},
    "normalized": {"dataset": {"kind": "digits", "normalize": {"mean": 0.3, "std": 0.4}}, "model": CNN},
}


def agree(spec: RunSpec, scaling: Scaling | None = None) -> None:
    """Check that new weights give the same outputs in the file and in ONNX."""
    namespace: dict[str, Any] = {}
    exec(source_of(spec, "A run.", scaling=scaling), namespace)
    torch.manual_seed(0)
    model = namespace["Model"]().eval()
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items() if "batches" not in name}
    shape = spec.dataset.shape
    assert (
        weights.keys() == spec.model.parameters(shape, spec.dataset.outputs).keys() | spec.model.buffers(shape).keys()
    )
    rows = np.random.default_rng(0).integers(0, 8, (3, *shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx_of(spec, weights, {}, scaling=scaling))
    expected = session.run(None, {INPUT: rows})[0]
    with torch.no_grad():
        outputs = model(torch.from_numpy(rows)).numpy()
    tolerance = 1e-4 * max(1, np.abs(expected).max())
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("changes", SPECS.values(), ids=SPECS)
def test_file_computes_what_onnx_computes(changes: dict[str, Any]) -> None:
    agree(run_of(**changes))


def test_learned_scaling_and_numbers_as_targets_are_in_the_file() -> None:
    spec = RunSpec.of({"dataset": {"kind": "linear", "features": 3}, "model": {"kind": "linear"}, "optimizer": SGD})
    agree(spec, Scaling(np.array([1, 2, 3], "f4"), np.array([0, -1, 1], "f4"), 2.0, -3.0))


SGD = {"kind": "sgd", "lr": 0.1}


@pytest.mark.slow
def test_file_needs_only_torch_and_refuses_other_weights(tmp_path: Path) -> None:
    for name, hidden in (("model", 8), ("other", 9)):
        spec = run_of(model={"kind": "mlp", "hidden": [hidden]})
        (tmp_path / f"{name}.py").write_text(source_of(spec, "A run.", module=name), encoding="utf-8")
    program = (
        "import sys; sys.path.insert(0, '.'); import model, other; from safetensors.torch import save_file\n"
        "save_file(model.Model().state_dict(), 'w'); print(type(model.load('w')).__name__)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('worker', 'service', 'fitwell')]\n"
        "try: other.load('w')\nexcept (ValueError, RuntimeError) as error: print('refused')"
    )
    command = [sys.executable, "-I", "-c", program]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["Model", "refused"]


@pytest.mark.parametrize("name", ["model", "run_1-model"])
def test_example_in_a_file_loads_the_weights_beside_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``run_1-model`` is the name that ``fitwell download`` gives both files."""
    (tmp_path / f"{name}.py").write_text(source_of(run_of(), "A run."), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module(name)
    weights = module.Model().state_dict()
    save_file(weights, tmp_path / f"{name}.safetensors")
    example = re.findall(r"^    (.+)", module.__doc__ or "", re.MULTILINE)
    assert example[0] == "from model import load"
    namespace: dict[str, Any] = {"rows": torch.zeros(2, 64), "load": module.load}
    exec("\n".join(example if name == "model" else example[1:]), namespace)
    for parameter, tensor in namespace["model"].state_dict().items():
        assert torch.equal(tensor, weights[parameter])
    monkeypatch.delitem(sys.modules, name)


def test_model_without_layers_is_refused() -> None:
    with pytest.raises(NoGraph, match="no layers"):
        source_of(RunSpec.of({"dataset": {"kind": "digits"}, "model": {"kind": "knn"}}), "A run.")


def test_texts_of_a_dataset_are_literals() -> None:
    texts = ['"""\nimport os', "'\\", "ü\ud800", "x" * 300]
    assert ascii_literal(texts).isascii()
    assert eval(ascii_literal(texts)) == texts


def test_numbers_of_layers_have_no_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    named = MLP.named_layers
    monkeypatch.setattr(
        MLP, "named_layers", lambda self: [(name.replace("layers.1", "layers.2"), one) for name, one in named(self)]
    )
    with pytest.raises(TypeError, match=r"gaps: 0, 2\. Name layers without parameters too"):
        source_of(run_of(model={"kind": "mlp", "hidden": [5, 4]}), "A run.")
