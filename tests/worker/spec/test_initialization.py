"""How weights begin: normal with a standard deviation of each run's own, and the same bits alone and in a stack."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy import stats

from tests.laws.strategies import CPU, parsed
from tests.laws.test_stack import law_1
from tests.laws.training import train
from worker.engine.stack import Member, Stack
from worker.spec.keys import spec_hash, stack_key
from worker.spec.run import RunSpec

STDS = (0.02, 0.5, 1e-3)
MLP = {"kind": "mlp", "hidden": [24]}
ENCODER = {
    "kind": "sequential",
    "layers": [
        {"kind": "patchify", "size": 4},
        {"kind": "positional_encoding", "method": "learned"},
        {"kind": "transformer_block", "heads": 2},
        {"kind": "gru", "width": 8},
    ],
}
MODELS: list[dict[str, Any]] = [{"kind": "linear"}, MLP, {"kind": "cnn", "channels": [3], "norm": "batch"}, ENCODER]
TESTS = len(STDS) * len(MODELS)


def runs(model: dict[str, Any]) -> list[RunSpec]:
    """Runs of one stack that begin with different standard deviations."""
    common = {
        "dataset": {"kind": "digits", "train_size": 40, "validation_size": 30},
        "optimizer": {"kind": "sgd", "lr": 0.05},
        "epochs": 1,
    }
    return [
        parsed({**common, "model": {**model, "init": {"kind": "normal", "std": std}}, "seed": seed})
        for seed, std in enumerate(STDS)
    ]


def initial(specs: list[RunSpec]) -> list[dict[str, torch.Tensor]]:
    """The tensors of each run of a stack before its first step."""
    stack = Stack([Member(str(i), spec) for i, spec in enumerate(specs)], CPU)
    return [stack.tensors(i) for i in range(len(specs))]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model["kind"])
def test_weights_begin_normal_and_the_same_alone_as_in_a_stack(model: dict[str, Any]) -> None:
    specs = runs(model)
    assert len({stack_key(spec) for spec in specs}) == 1
    assert len({spec_hash(spec.model_copy(update={"seed": 0})) for spec in specs}) == len(specs)
    stacked = initial(specs)
    for spec, std, tensors in zip(specs, STDS, stacked, strict=True):
        (alone,) = initial([spec])
        assert all(torch.equal(tensor, alone[name]) for name, tensor in tensors.items())
        positions = "layers.1.weight" if model is ENCODER else None
        drawn = torch.cat([t.flatten() for name, t in tensors.items() if t.dim() > 1 and name != positions]).double()
        assert stats.kstest(drawn / std, "norm").pvalue > 1e-3 / TESTS
        assert drawn.std().item() == pytest.approx(std, rel=5 / (2 * len(drawn)) ** 0.5)  # five standard errors
        assert abs(drawn.mean().item()) < 5 * std / len(drawn) ** 0.5


def test_biases_norms_and_learned_positions_begin_as_with_the_other_rules() -> None:
    tensors = initial(runs(ENCODER))[1]
    ones = {name for name, tensor in tensors.items() if torch.equal(tensor, torch.ones_like(tensor))}
    zeros = {name for name, tensor in tensors.items() if not tensor.any()}
    assert ones == {"layers.2.norm1.weight", "layers.2.norm2.weight"}
    assert zeros == {name for name in tensors if "bias" in name}
    assert tensors["layers.1.weight"].std().item() == pytest.approx(0.02, rel=0.3)  # not 0.5


def test_runs_of_several_standard_deviations_train_alone_as_in_a_stack() -> None:
    specs = runs(MLP)
    law_1(specs, [1], train(specs, most=8))
