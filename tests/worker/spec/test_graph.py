"""A model's ONNX file against the engine that trained it, for every part that has a say in evaluation mode."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.laws.strategies import CPU, HOME, example, models, parsed
from tests.laws.training import data_of
from worker.engine.evaluation import predictions
from worker.engine.hooks import EvaluationHooks
from worker.engine.rows import Split
from worker.engine.stack import Member, Stack
from worker.spec.families.hooks import defines
from worker.spec.families.model import Model
from worker.spec.graph import NoGraph
from worker.spec.models import KINDS as MODELS
from worker.spec.models.mlp import MLP
from worker.spec.onnx_file import INPUT, LOGITS, PROBABILITIES, Scaling, onnx_of
from worker.spec.part import kind_of
from worker.spec.regularizers import KINDS as REGULARIZERS
from worker.spec.regularizers.dropout import Dropout
from worker.spec.run import RunSpec

ROWS = 40
Array = NDArray[np.float32]


def forms(part: type[Model]) -> Iterator[dict[str, Any]]:
    """The model in every combination of the options that its fields list, but for how weights begin."""
    fields = {name: field.annotation for name, field in part.model_fields.items() if name not in ("kind", "init")}
    listed = {name: get_args(annotation) for name, annotation in fields.items() if get_origin(annotation) is Literal}
    for values in itertools.product(*listed.values()):
        yield {**example(part), **dict(zip(listed, values, strict=True))}


NETWORKS = [part for part in MODELS.values() if part.trains]
"""Models with weights; others have nothing to write down as a graph."""
FORMS = [pytest.param(body, id="-".join(map(str, body.values()))) for part in NETWORKS for body in forms(part)]


def run_of(**changes: Any) -> RunSpec:
    body = {"dataset": {"kind": "digits", "train_size": 64, "validation_size": 30}, "model": {"kind": "linear"}}
    return parsed({**body, "optimizer": {"kind": "sgd", "lr": 0.1}, **changes})


def trained(spec: RunSpec) -> Stack:
    """A stack of one run whose parameters and buffers are not as they began."""
    stack = Stack([Member("run", spec)], CPU)
    noise = np.random.default_rng(7)
    for tensor in stack.tensors(0).values():
        factors, added = noise.uniform(0.5, 1.5, tuple(tensor.shape)), noise.uniform(-0.02, 0.02, tuple(tensor.shape))
        tensor.mul_(torch.from_numpy(factors).float()).add_(torch.from_numpy(added).float())
    return stack


def weights_of(stack: Stack) -> dict[str, Array]:
    return {name: tensor.numpy() for name, tensor in stack.tensors(0).items() if not name.startswith("optimizer.")}


def by_engine(stack: Stack, rows: int = ROWS) -> Array:
    """Log-probabilities of the first test rows, as the engine measures them."""
    test = data_of(stack.members[0].spec).test
    result: Array = predictions(stack, Split(test.x[:rows], test.y[:rows]), EvaluationHooks(stack))[0].numpy()
    return result


def by_onnx(content: bytes, spec: RunSpec, rows: int = ROWS) -> tuple[Array, Array]:
    """Log-probabilities and probabilities of the same rows, raw, as onnxruntime computes them from the file alone."""
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    raw = spec.dataset.load(HOME).test_x[:rows].astype(np.float32)
    logits, probabilities = session.run([LOGITS, PROBABILITIES], {INPUT: raw})
    return torch.log_softmax(torch.from_numpy(logits), 1).numpy(), probabilities


def agree(spec: RunSpec, tolerance: float = 1e-5) -> None:
    stack = trained(spec)
    log_p, probabilities = by_onnx(onnx_of(spec, weights_of(stack), {}), spec)
    expected = by_engine(stack)
    np.testing.assert_allclose(log_p, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(probabilities, np.exp(expected), rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("model", FORMS)
def test_every_form_of_every_model_matches_the_engine(model: dict[str, Any]) -> None:
    agree(run_of(model=model))


@pytest.mark.parametrize("kind", sorted(kind for kind, part in REGULARIZERS.items() if defines(part, "scale")))
def test_every_regularizer_in_evaluation_mode_matches_the_engine(kind: str) -> None:
    part, model = REGULARIZERS[kind], {"kind": "mlp", "hidden": [20, 12]}
    literals = {name: get_args(field.annotation) for name, field in part.model_fields.items() if name != "kind"}
    listed = {
        name: values for name, values in literals.items() if get_origin(part.model_fields[name].annotation) is Literal
    }
    plain = by_onnx(onnx_of(run_of(model=model), weights_of(trained(run_of(model=model))), {}), run_of())[0]
    changed = []
    for values in itertools.product(*listed.values()):
        body = {**example(part), **dict(zip(listed, values, strict=True))}
        spec = run_of(model=model, regularizers=[body])
        agree(spec)
        changed.append(by_onnx(onnx_of(spec, weights_of(trained(spec)), {}), spec)[0])
    assert any(not np.allclose(one, plain) for one in changed), "in no form does it change anything"


def test_classic_dropout_scales_inputs_and_units_each_by_its_own_share() -> None:
    dropout = {"kind": "dropout", "p": 0.37, "input_p": 0.2, "form": "classic"}
    for model in ({"kind": "mlp", "hidden": [20, 12]}, {"kind": "cnn", "channels": [3], "hidden": [9]}):
        agree(run_of(model=model, regularizers=[dropout, {"kind": "l2", "strength": 0.1}, {**dropout, "p": 0.5}]))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_generated_models_match_the_engine(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(models)))
    dataset = "digits" if kind in ("cnn", "sequential") else data.draw(st.sampled_from(["digits", "mnist1d"]))
    normalize = data.draw(st.sampled_from([None, {"mean": 0.13, "std": 0.3}, {"mean": -2.0, "std": 5.0}]))
    body = {"kind": dataset, "train_size": 64, "validation_size": 30, "normalize": normalize}
    agree(run_of(model=data.draw(models[kind]), dataset=body), 3e-5)


def test_bfloat16_is_rounded_where_the_engine_rounds() -> None:
    model = {"kind": "mlp", "hidden": [20, 12], "activation": "tanh"}
    exact, rounded = run_of(model=model), run_of(model=model, precision="bfloat16")
    expected = by_engine(trained(rounded))
    result, _ = by_onnx(onnx_of(rounded, weights_of(trained(rounded)), {}), rounded)
    apart, _ = by_onnx(onnx_of(exact, weights_of(trained(exact)), {}), exact)
    # A sum in another order is rounded to the neighbour now and then; hence on average.
    assert np.abs(result - expected).mean() < np.abs(apart - expected).mean() / 20


@pytest.mark.slow
def test_equal_arguments_give_equal_bytes_with_metadata(tmp_path: Path) -> None:
    """In another process, with another hash seed."""
    spec = run_of(model={"kind": "cnn", "norm": "batch"})
    metadata = {"run_id": "run_1", "classes": json.dumps(spec.dataset.classes)}
    weights = weights_of(trained(spec))
    np.savez(tmp_path / "weights.npz", allow_pickle=False, **weights)
    code = (
        "import sys, numpy as np; from worker.spec.onnx_file import onnx_of; from worker.spec.run import RunSpec\n"
        f"spec, weights = RunSpec.model_validate_json({spec.model_dump_json()!r}), np.load('weights.npz')\n"
        f"sys.stdout.buffer.write(onnx_of(spec, dict(weights), {metadata!r}))"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )  # fmt: skip
    assert elsewhere.stdout == onnx_of(spec, weights, metadata)
    model = onnx.load_from_string(elsewhere.stdout)
    assert {entry.key: entry.value for entry in model.metadata_props} == metadata
    assert (model.producer_name, model.ir_version, [o.version for o in model.opset_import]) == ("fitwell", 8, [17])


def test_every_input_can_have_its_own_scale() -> None:
    spec = run_of(model={"kind": "mlp", "hidden": [20, 12]})
    stack = trained(spec)
    scale, shift = np.linspace(0.01, 0.2, 64), np.linspace(-1, 1, 64)
    data = data_of(spec)
    raw = torch.from_numpy(spec.dataset.load(HOME).test_x[:ROWS].reshape(ROWS, 64)).float()
    x = raw * torch.from_numpy(scale).float() + torch.from_numpy(shift).float()
    expected = predictions(stack, Split(x, data.test.y[:ROWS]), EvaluationHooks(stack))[0].numpy()
    result, _ = by_onnx(onnx_of(spec, weights_of(stack), {}, scaling=Scaling(scale, shift)), spec)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


class Opaque(MLP):
    """A model whose file does not say how it is written as ONNX."""

    onnx: ClassVar[Any] = Model.onnx


class Hushed(Dropout):
    """A part that acts in evaluation mode and does not say how."""

    onnx_scale: ClassVar[Any] = Dropout.__mro__[1].onnx_scale  # type: ignore[attr-defined]


def test_part_without_onnx_is_refused_by_name() -> None:
    spec = run_of(model={"kind": "mlp"})
    weights = weights_of(trained(spec))
    with pytest.raises(NoGraph, match="kind 'mlp' has no ONNX"):
        onnx_of(spec.model_copy(update={"model": Opaque()}), weights, {})
    with pytest.raises(NoGraph, match="'dropout' acts in evaluation mode"):
        onnx_of(spec.model_copy(update={"regularizers": (Hushed(),)}), weights, {})


@pytest.mark.parametrize("kind", sorted(set(MODELS) - {kind_of(part) for part in NETWORKS}))
def test_instance_based_model_is_refused_with_the_reason(kind: str) -> None:
    with pytest.raises(NoGraph, match=f"{kind!r} is its training rows"):
        onnx_of(run_of(model={"kind": kind}), {}, {})


def test_weights_of_another_model_are_refused() -> None:
    spec = run_of(model={"kind": "mlp", "hidden": [20]})
    weights = weights_of(trained(spec))
    with pytest.raises(NoGraph, match=r"'layers.0.weight' has the shape"):
        onnx_of(run_of(model={"kind": "mlp", "hidden": [21]}), weights, {})
    del weights["layers.1.bias"]
    with pytest.raises(NoGraph, match=r"'layers.1.bias' is missing"):
        onnx_of(spec, weights, {})


@pytest.mark.slow
def test_graph_is_built_without_torch() -> None:
    code = (
        "import sys, json, numpy as np\n"
        "from worker.spec.onnx_file import onnx_of; from worker.spec.run import RunSpec\n"
        f"spec = RunSpec.model_validate_json({json.dumps(run_of(model=example(MODELS['cnn'])).model_dump_json())})\n"
        "shapes = spec.model.parameters(spec.dataset.shape, 10)\n"
        "assert onnx_of(spec, {n: np.zeros(s, 'f4') for n, s in shapes.items()}, {})\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_kind_is_covered() -> None:
    assert {body.values[0]["kind"] for body in FORMS} == {kind_of(part) for part in NETWORKS}  # type: ignore[index]
